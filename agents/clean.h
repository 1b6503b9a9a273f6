/*
 * clean.h - makes any bytes a text that may travel in a str field of a message
 * (wire.h): valid UTF-8, no control bytes but newline and tab. Paths, program
 * names and cut messages may be anything.
 */
#ifndef AGENTS_CLEAN_H
#define AGENTS_CLEAN_H

/* In place, never longer: each offending byte becomes '?'. */
void clean_text(char *text);

#endif

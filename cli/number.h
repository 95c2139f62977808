/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers as people type them. All are strict: no sign, no blank, no overflow, nothing left over. */
#ifndef CLI_NUMBER_H
#define CLI_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* 0x and hexadecimal digits, or decimal digits. */
bool number_parse(const char *text, uint64_t *out);

/* The same, or hexadecimal as kallsyms prints it: with a letter a-f in it, or 16 digits long. */
bool address_parse(const char *text, uint64_t *out);

/* A number, or a decimal one with K, M, G or T behind it (powers of 1024). */
bool size_parse(const char *text, uint64_t *out);

/* "12.5": 0 to 100. */
bool percent_parse(const char *text, double *out);

/* "12us", "0.5s": a decimal number and ns, us, ms or s; in nanoseconds, less than a day. */
bool time_parse(const char *text, uint64_t *out);

/* "XX:XX": bus << 8 | device << 3 | function, a byte before the colon and one behind it. */
bool device_parse(const char *text, uint16_t *out);

/* A process id: 0 to 2^31 - 1. */
bool pid_parse(const char *text, int32_t *out);

#endif

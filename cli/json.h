/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Writes JSON as it comes, which rows have to (json-c builds whole documents) and which leaves the
 * tool without a library to carry along. Text from the target may be any bytes: where it is UTF-8,
 * a JSON reader gets exactly that text. Where it is not, json_text() writes the bytes that are not
 * as \xNN and backslashes as \\ inside the string and returns false, so that the caller can mark it.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *file;
	bool ascii; /* escape every character beyond ASCII */
	bool comma; /* a value came before in this object or array */
};

/* key is the tool's own word, or NULL in an array. bracket: '{' or '[' opens, '}' or ']' closes. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

bool json_text(struct json *json, const char *key, const char *data, size_t size);
void json_string(struct json *json, const char *key, const char *text); /* NULL gives null */
void json_number(struct json *json, const char *key, uint64_t value);
void json_integer(struct json *json, const char *key, int64_t value);
void json_decimal(struct json *json, const char *key, double value); /* to 1/1000 */
void json_address(struct json *json, const char *key, uint64_t value);
void json_boolean(struct json *json, const char *key, bool value);

#endif

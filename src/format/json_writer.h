/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON, written from front to back. A text may be any bytes (a command line, a file name): inside the
 * JSON string, a byte that is not UTF-8 stands as \xNN and a backslash as \\, so that nothing is
 * lost; manifest_json.c takes that back.
 */
#ifndef FORMAT_JSON_WRITER_H
#define FORMAT_JSON_WRITER_H

#include <stdio.h>

#include "base/bytes.h"

/* A string with its quotes. */
void json_write_string(FILE *out, struct bytes text);

/* out, and zeros. Whoever closes out looks whether it failed. */
struct json_writer {
	FILE *out;
	bool has_sibling;
};

/* The key of each is that of an object's member; NULL for an element of an array, or for the top. */
void json_begin_object(struct json_writer *writer, const char *key);
void json_begin_array(struct json_writer *writer, const char *key);
void json_end_object(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
void json_put_bytes(struct json_writer *writer, const char *key, struct bytes text);
void json_put_text(struct json_writer *writer, const char *key, const char *text); /* NULL: null */
void json_put_unsigned(struct json_writer *writer, const char *key, uint64_t number);
void json_put_signed(struct json_writer *writer, const char *key, int64_t number);
void json_put_address(struct json_writer *writer, const char *key, uint64_t address);
void json_put_flag(struct json_writer *writer, const char *key, bool flag);

#endif

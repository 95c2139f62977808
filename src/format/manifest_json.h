/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How manifest_format.c and manifest_encode.c see JSON: objects as tables of members, which both
 * directions share. Reading takes the containers apart itself and leaves only scalars to json-c: what
 * a hostile text can make it allocate stays in proportion to the text, where a tree of json-c's
 * objects takes a hundred times as much.
 *
 * A text may be any bytes: format/json_writer.h says how they are escaped.
 */
#ifndef FORMAT_MANIFEST_JSON_H
#define FORMAT_MANIFEST_JSON_H

#include <stdio.h>

#include "format/manifest_format.h"

enum json_kind {
	JSON_NESTED,          /* an object or array: struct json_member.decode */
	JSON_NESTED_ADDED,    /* the same, which older kiokus did not write: it may be missing */
	JSON_TEXT,            /* char *; null is "" */
	JSON_OPTIONAL,        /* char *; null is NULL */
	JSON_MD5,             /* char *, lower-case hexadecimal; null is "" */
	JSON_SHA256,          /* the same */
	JSON_OPTIONAL_SHA256, /* the same; null is NULL */
	JSON_DIGEST,          /* uint8_t[MANIFEST_HASH_SIZE], never null */
	JSON_STATES,          /* char *, for page_states_next() */
	JSON_NUMBER,          /* uint64_t, less than 2^63 */
	JSON_ADDRESS,         /* uint64_t, as "0x..." */
	JSON_SECONDS,         /* double, not negative */
	JSON_FLAG,            /* bool */
};

struct json_reader {
	struct bytes text;
	size_t at;
	struct json_tokener *tokener; /* of json-c */
	struct kioku_error *error;
	void *user;     /* of the decode functions */
	unsigned depth; /* of what is passed over */
};

typedef enum kioku_status json_decode_fn(struct json_reader *reader);

struct json_member {
	const char *name;
	enum json_kind kind;
	size_t offset;          /* in the struct that the object stands for */
	json_decode_fn *decode; /* of JSON_NESTED and JSON_NESTED_ADDED */
};

/* json_reader_close() in any case. Errors: NO_MEMORY. */
enum kioku_status json_reader_open(struct json_reader *reader, struct bytes text,
				   struct kioku_error *error);
void json_reader_close(struct json_reader *reader);

/* CORRUPT, with the place. */
enum kioku_status json_corrupt(struct json_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * An object with each of these members once. Others are passed over. Strings are the caller's to
 * free even after an error; they must be NULL before.
 */
enum kioku_status json_read_object(struct json_reader *reader, const struct json_member *members,
				   size_t count, void *target);

/* An array, each element by decode. */
enum kioku_status json_read_array(struct json_reader *reader, json_decode_fn *decode);

/* Passes over whatever comes next, however long: only its scalars are bounded, and its depth. */
enum kioku_status json_skip(struct json_reader *reader);

/* As json_skip(), of an object, whose text is in what the reader reads. */
enum kioku_status json_take_object(struct json_reader *reader, struct bytes *out);

/* Takes null if that comes next. */
bool json_take_null(struct json_reader *reader);

/* Whether nothing but blanks is left. */
bool json_at_end(struct json_reader *reader);

/* The next place in an array of elements of size bytes that doubles, zeroed; NULL: no memory. */
void *json_grow(void *array_pointer, size_t *count, size_t size);

/* The objects of a manifest that are members of one struct only, in the order of writing. */
struct json_form {
	const struct json_member *members;
	size_t count;
};

/* Of struct manifest, manifest_refusal, manifest_file, manifest_error, manifest_segment. */
extern const struct json_form json_host, json_image, json_journal_image, json_footprint,
	json_refusal, json_file, json_error, json_segment;

/* By enum page_state, for memory.counts. */
extern const char *const page_state_names[PAGE_STATE_COUNT];

#endif

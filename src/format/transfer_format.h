/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages between sender and receiver, as in docs/transfer.md. */
#ifndef FORMAT_TRANSFER_FORMAT_H
#define FORMAT_TRANSFER_FORMAT_H

#include "base/bytes.h"
#include "base/error.h"

#define TRANSFER_VERSION       1u
#define TRANSFER_ALPN          "kioku/1"
#define TRANSFER_PORT          7633u /* where nobody says another */
#define TRANSFER_HEADER_SIZE   8u
#define TRANSFER_DATA_LIMIT    (128u << 10) /* bytes of a WRITE */
#define TRANSFER_PAYLOAD_LIMIT (TRANSFER_DATA_LIMIT + 64)
#define TRANSFER_MESSAGE_LIMIT (TRANSFER_HEADER_SIZE + TRANSFER_PAYLOAD_LIMIT)
#define TRANSFER_TOKEN_SIZE    16u
#define TRANSFER_SESSION_SIZE  16u
#define TRANSFER_SECRET_SIZE   32u
#define TRANSFER_SHA256_SIZE   32u
#define TRANSFER_MD5_SIZE      16u
#define TRANSFER_NAME_LIMIT    200u
#define TRANSFER_TEXT_LIMIT    512u
#define TRANSFER_HELLO_LIMIT   2048u /* bytes of the payload of HELLO and RESUME, in any version */
#define TRANSFER_FILES         32u

enum transfer_type {
	TRANSFER_HELLO = 1,
	TRANSFER_RESUME,
	TRANSFER_PING,
	TRANSFER_BYE,
	TRANSFER_CREATE = 16,
	TRANSFER_WRITE,
	TRANSFER_HOLE,
	TRANSFER_CLOSE,
	TRANSFER_REPLACE,
	TRANSFER_REMOVE,
	TRANSFER_END,
	TRANSFER_WELCOME = 32,
	TRANSFER_ACK,
	TRANSFER_DIGEST,
	TRANSFER_DONE,
	TRANSFER_REFUSED,
};

enum transfer_refusal {
	TRANSFER_REFUSED_BUSY = 1,
	TRANSFER_REFUSED_VERSION,
	TRANSFER_REFUSED_TOKEN,
	TRANSFER_REFUSED_NAME,
	TRANSFER_REFUSED_QUOTA,
	TRANSFER_REFUSED_STORAGE,
	TRANSFER_REFUSED_DIGEST,
	TRANSFER_REFUSED_PROTOCOL,
};

enum { TRANSFER_UNDIGESTED = 1 };                   /* flags of CREATE */
enum { TRANSFER_COMPARE = 1, TRANSFER_ANSWER = 2 }; /* flags of CLOSE */
enum { TRANSFER_COMPLETE = 1 };                     /* flags of END */

/*
 * A message, decoded. Which members mean something, its type says: the table in docs/transfer.md.
 * Texts and data are borrowed from the bytes that it was decoded from, and are not terminated.
 */
struct transfer_message {
	enum transfer_type type;
	uint32_t version, flags, file, code;
	uint64_t offset, size, position, expected, lost;
	uint8_t token[TRANSFER_TOKEN_SIZE], session[TRANSFER_SESSION_SIZE];
	uint8_t secret[TRANSFER_SECRET_SIZE];
	uint8_t sha256[TRANSFER_SHA256_SIZE], md5[TRANSFER_MD5_SIZE];
	struct bytes host, name, tool, to, folder, reason, data; /* name: also image and from */
};

/*
 * The type and the size of the payload of the message that begins here. Errors: CORRUPT: no such
 * type, or a payload that is larger than that type's can be.
 */
enum kioku_status transfer_header_decode(const uint8_t header[TRANSFER_HEADER_SIZE],
					 enum transfer_type *type, uint32_t *size,
					 struct kioku_error *error);

/*
 * A message whose header was decoded. What its type does not have is zero. A HELLO, RESUME or
 * WELCOME of another version is decoded as far as the version. Errors: CORRUPT.
 */
enum kioku_status transfer_decode(enum transfer_type type, struct bytes payload,
				  struct transfer_message *message, struct kioku_error *error);

/*
 * Header and payload, except the data of a WRITE, which the caller lets follow. out has room for
 * TRANSFER_MESSAGE_LIMIT bytes, or for a WRITE for TRANSFER_WRITE_SIZE. Returns how many were written;
 * 0: a text or the data is too large.
 */
#define TRANSFER_WRITE_SIZE (TRANSFER_HEADER_SIZE + 16u)
size_t transfer_encode(const struct transfer_message *message, uint8_t *out);

/* Whether it is a part of the stream, so that it counts for positions. */
bool transfer_is_stream(enum transfer_type type);

/* Whether a file may have this name beside an image; image NULL: whether an image may have it. */
bool transfer_name_is_valid(struct bytes name, const char *image);

#endif

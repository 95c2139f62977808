/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * GDB's remote serial protocol: "$DATA#CC", CC being the sum of the bytes of DATA as they are sent, in
 * hexadecimal; '+' and '-' in between acknowledge (GDB manual, "Remote Protocol", "Overview").
 */
#ifndef FORMAT_RSP_FORMAT_H
#define FORMAT_RSP_FORMAT_H

#include "base/bytes.h"

enum rsp_kind {
	RSP_INCOMPLETE, /* more bytes are needed; nothing was used */
	RSP_PACKET,
	RSP_ACCEPTED, /* '+' */
	RSP_REFUSED,  /* '-' */
	RSP_NOISE,    /* bytes that belong to no packet */
	RSP_DAMAGED,  /* a packet whose sum or escapes are wrong */
	RSP_TOO_LONG, /* a packet that has more data than there is room for */
};

/*
 * Takes what comes first in a stream: *used is how many bytes that was. Of a packet, the data goes to
 * out (escapes and run lengths are resolved) and *size is how much; at most room bytes.
 */
enum rsp_kind rsp_decode(struct bytes stream, uint8_t *out, size_t room, size_t *used,
			 size_t *size);

/* The room that rsp_encode() needs for data of a size. */
#define RSP_ENCODED_SIZE(size) (2 * (size) + 4)

/* Makes a packet of some data; how many bytes it is. */
size_t rsp_encode(struct bytes data, uint8_t *out);

/* Hexadecimal digits of the size bytes at data; out has room for twice as many. */
void rsp_to_hex(const void *data, size_t size, uint8_t *out);

/* The bytes that hexadecimal digits stand for, at most room; false if they are none, or too many. */
bool rsp_from_hex(struct bytes digits, uint8_t *out, size_t room, size_t *size);

/*
 * A feature of an answer to qSupported, "NAME=VALUE;NAME+;NAME-": PacketSize is how many bytes of data
 * a packet may have. False if it is not there, or no number.
 */
bool rsp_packet_size(struct bytes answer, uint64_t *out);

/* Whether data is what a stub says, unasked, of a machine that has stopped or ended. */
bool rsp_is_stop(struct bytes data);

/* Whether it is "ENN" (or "E.text"): an error, and no bytes in hexadecimal, which have an even number. */
bool rsp_is_error(struct bytes data);

#endif

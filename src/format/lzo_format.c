/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/lzo_format.h"

/* How many literals the last instruction copied decides what instructions 0 to 15 mean. */
#define AFTER_RUN 4u /* four or more */

struct decoder {
	struct bytes stream;
	size_t position;
	uint8_t *out;
	size_t room, size;
	bool failed;        /* it ended too early, gave too much, or referred to before its start */
	bool has_zero_runs; /* bitstream version 1, lzo-rle */
};

/* An instruction that copies from what was decoded before, and then a few literals. */
struct match {
	size_t distance, length;
	unsigned literals; /* 0 to 3 */
};

static uint8_t next(struct decoder *decoder)
{
	uint8_t byte = 0;

	if (!bytes_u8(decoder->stream, decoder->position, &byte))
		decoder->failed = true;
	decoder->position++;
	return byte;
}

/* A length that did not fit into its instruction: 255 for each zero byte, and the byte after. */
static size_t long_length(struct decoder *decoder, size_t base)
{
	uint8_t byte;

	while ((byte = next(decoder)) == 0 && !decoder->failed)
		base += 255;
	return base + byte;
}

static void copy_literals(struct decoder *decoder, size_t count)
{
	if (decoder->failed || count > decoder->room - decoder->size ||
	    !bytes_has(decoder->stream, decoder->position, count)) {
		decoder->failed = true;
		return;
	}
	memcpy(decoder->out + decoder->size, decoder->stream.data + decoder->position, count);
	decoder->position += count;
	decoder->size += count;
}

static void copy_match(struct decoder *decoder, const struct match *match)
{
	if (decoder->failed || match->distance > decoder->size ||
	    match->length > decoder->room - decoder->size) {
		decoder->failed = true;
		return;
	}
	/* Byte by byte: a distance below the length repeats what was just written. */
	uint8_t *to = decoder->out + decoder->size;
	const uint8_t *from = to - match->distance;
	for (size_t i = 0; i < match->length; i++)
		to[i] = from[i];
	decoder->size += match->length;
}

/*
 * In version 1, an instruction 24 to 31 whose distance would be the greatest is a run of zeros, and then
 * literals as usual.
 */
static bool take_zero_run(struct decoder *decoder, unsigned code, unsigned *literals)
{
	uint16_t word;
	uint8_t high;

	if (!decoder->has_zero_runs || (code & 0xf8) != 0x18 ||
	    !bytes_le16(decoder->stream, decoder->position, &word) || (word & 0xfffc) != 0xfffc ||
	    !bytes_u8(decoder->stream, decoder->position + 2, &high))
		return false;
	size_t length = (code & 7) + ((size_t)high << 3) + 4;
	decoder->position += 3;
	if (length > decoder->room - decoder->size) {
		decoder->failed = true;
		return true;
	}
	memset(decoder->out + decoder->size, 0, length);
	decoder->size += length;
	*literals = word & 3;
	return true;
}

/* Of instructions 16 and above; false at the end of the stream, which is one of distance 0. */
static bool decode_match(struct decoder *decoder, unsigned code, struct match *out)
{
	if (code >= 64) {
		out->length = code >= 128 ? 5 + (code >> 5 & 3) : 3 + (code >> 5 & 1);
		out->distance = ((size_t)next(decoder) << 3) + (code >> 2 & 7) + 1;
		out->literals = code & 3;
		return true;
	}
	unsigned mask = code >= 32 ? 31 : 7;
	out->length = 2 + (code & mask ? code & mask : long_length(decoder, mask));
	unsigned low = next(decoder), high = next(decoder);
	out->distance = (high << 6) + (low >> 2);
	out->literals = low & 3;
	if (code >= 32) {
		out->distance++;
		return true;
	}
	out->distance += (size_t)(code & 8) << 11;
	if (out->distance == 0)
		return false;
	out->distance += 16384;
	return true;
}

/* Instructions 0 to 15 after literals; with none before, they are a run of literals themselves. */
static void decode_short_match(struct decoder *decoder, unsigned code, unsigned state,
			       struct match *out)
{
	out->length = state == AFTER_RUN ? 3 : 2;
	out->distance =
		((size_t)next(decoder) << 2) + (code >> 2) + (state == AFTER_RUN ? 2049 : 1);
	out->literals = code & 3;
}

/* What the first byte may say instead of being an instruction; returns the state after it. */
static unsigned decode_start(struct decoder *decoder)
{
	uint8_t byte;

	/* A version: nothing else starts so, for there is nothing yet that 17 could copy. */
	if (decoder->stream.size >= 5 && decoder->stream.data[0] == 17) {
		decoder->has_zero_runs = decoder->stream.data[1] == 1;
		decoder->failed = decoder->stream.data[1] > 1;
		decoder->position = 2;
	}
	if (!bytes_u8(decoder->stream, decoder->position, &byte) || byte < 18)
		return 0;
	decoder->position++;
	copy_literals(decoder, byte - 17u);
	return byte < 21 ? byte - 17u : AFTER_RUN;
}

bool lzo_decode(struct bytes stream, uint8_t *out, size_t room, size_t *size)
{
	struct decoder decoder = { .stream = stream, .out = out, .room = room };
	unsigned state = decode_start(&decoder);

	while (!decoder.failed) {
		unsigned code = next(&decoder);
		struct match match;
		if (take_zero_run(&decoder, code, &state)) {
			copy_literals(&decoder, state);
			continue;
		}
		if (code < 16 && state == 0) {
			copy_literals(&decoder, 3 + (code ? code : long_length(&decoder, 15)));
			state = AFTER_RUN;
			continue;
		}
		if (code < 16)
			decode_short_match(&decoder, code, state, &match);
		else if (!decode_match(&decoder, code, &match))
			break;
		copy_match(&decoder, &match);
		copy_literals(&decoder, match.literals);
		state = match.literals;
	}
	*size = decoder.size;
	return !decoder.failed && decoder.position == stream.size;
}

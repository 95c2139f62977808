/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "format/rsp_format.h"

#define ESCAPE      '}'
#define ESCAPED_XOR 0x20
#define RUN         '*'
#define RUN_BIAS    29 /* the character after RUN is this much more than how often to repeat */
#define RUN_FIRST   32 /* the least and the greatest printable character */
#define RUN_LAST    126

static int digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Resolves what stands between '$' and '#'. */
static enum rsp_kind resolve(struct bytes raw, uint8_t *out, size_t room, size_t *size)
{
	size_t filled = 0;

	for (size_t i = 0; i < raw.size; i++) {
		uint8_t c = raw.data[i];
		size_t count = 1;
		if (c == ESCAPE || c == RUN) {
			if (++i == raw.size)
				return RSP_DAMAGED;
			uint8_t next = raw.data[i];
			if (c == RUN && (filled == 0 || next < RUN_FIRST || next > RUN_LAST))
				return RSP_DAMAGED;
			count = c == RUN ? (size_t)next - RUN_BIAS : 1;
			c = c == RUN ? out[filled - 1] : (uint8_t)(next ^ ESCAPED_XOR);
		}
		if (count > room - filled)
			return RSP_TOO_LONG;
		memset(out + filled, c, count);
		filled += count;
	}
	*size = filled;
	return RSP_PACKET;
}

static enum rsp_kind decode_packet(struct bytes stream, uint8_t *out, size_t room, size_t *used,
				   size_t *size)
{
	const uint8_t *end = memchr(stream.data + 1, '#', stream.size - 1);
	size_t raw_size = end ? (size_t)(end - stream.data) - 1 : stream.size - 1;
	uint8_t sum = 0;

	/* Every byte of data takes at least one, two if it is escaped, or stands for several. */
	if (!end || !bytes_has(stream, raw_size + 2, 2))
		return raw_size / 2 > room ? RSP_TOO_LONG : RSP_INCOMPLETE;
	for (size_t i = 0; i < raw_size; i++)
		sum = (uint8_t)(sum + stream.data[1 + i]);
	int high = digit(end[1]), low = digit(end[2]);
	*used = raw_size + 4;
	if (high < 0 || low < 0 || sum != (high << 4 | low))
		return RSP_DAMAGED;
	return resolve((struct bytes){ stream.data + 1, raw_size }, out, room, size);
}

enum rsp_kind rsp_decode(struct bytes stream, uint8_t *out, size_t room, size_t *used, size_t *size)
{
	*used = 0;
	*size = 0;
	if (stream.size == 0)
		return RSP_INCOMPLETE;
	if (stream.data[0] == '$')
		return decode_packet(stream, out, room, used, size);
	*used = 1;
	if (stream.data[0] == '+' || stream.data[0] == '-')
		return stream.data[0] == '+' ? RSP_ACCEPTED : RSP_REFUSED;
	while (*used < stream.size && !memchr("$+-", stream.data[*used], 3))
		++*used;
	return RSP_NOISE;
}

size_t rsp_encode(struct bytes data, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	size_t filled = 1;
	uint8_t sum = 0;

	out[0] = '$';
	for (size_t i = 0; i < data.size; i++) {
		uint8_t c = data.data[i];
		if (memchr("$#}*", c, 4)) {
			out[filled++] = ESCAPE;
			c ^= ESCAPED_XOR;
		}
		out[filled++] = c;
	}
	for (size_t i = 1; i < filled; i++)
		sum = (uint8_t)(sum + out[i]);
	out[filled++] = '#';
	out[filled++] = (uint8_t)digits[sum >> 4];
	out[filled++] = (uint8_t)digits[sum & 15];
	return filled;
}

void rsp_to_hex(const void *data, size_t size, uint8_t *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *p = data;

	for (size_t i = 0; i < size; i++) {
		out[2 * i] = (uint8_t)digits[p[i] >> 4];
		out[2 * i + 1] = (uint8_t)digits[p[i] & 15];
	}
}

bool rsp_from_hex(struct bytes text, uint8_t *out, size_t room, size_t *size)
{
	if (text.size % 2 != 0 || text.size / 2 > room)
		return false;
	for (size_t i = 0; i < text.size; i += 2) {
		int high = digit(text.data[i]), low = digit(text.data[i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i / 2] = (uint8_t)(high << 4 | low);
	}
	*size = text.size / 2;
	return true;
}

bool rsp_packet_size(struct bytes answer, uint64_t *out)
{
	static const char name[] = "PacketSize=";
	size_t start = 0, length = sizeof(name) - 1;

	while (start < answer.size) {
		const uint8_t *end = memchr(answer.data + start, ';', answer.size - start);
		size_t stop = end ? (size_t)(end - answer.data) : answer.size;
		if (stop - start > length && memcmp(answer.data + start, name, length) == 0) {
			uint64_t value = 0;
			for (start += length; start < stop; start++) {
				int next = digit(answer.data[start]);
				if (next < 0 || value >> 60)
					return false;
				value = value << 4 | (uint64_t)next;
			}
			*out = value;
			return true;
		}
		start = stop + 1;
	}
	return false;
}

bool rsp_is_stop(struct bytes data)
{
	return data.size >= 3 && memchr("TSWX", data.data[0], 4);
}

bool rsp_is_error(struct bytes data)
{
	return data.size >= 2 && data.data[0] == 'E' && (data.size == 3 || data.data[1] == '.');
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LZO1X streams, one instruction of each kind, as Documentation/staging/lzo.rst has them. */
#include "format/lzo_format.h"
#include "tap.h"
#include "test_lzo.h"

static void check_stream(const uint8_t *stream, size_t size, const char *expected)
{
	uint8_t out[64];
	size_t got = 0;

	CHECK(lzo_decode((struct bytes){ stream, size }, out, sizeof(out), &got));
	CHECK_EQUAL(got, strlen(expected));
	CHECK(memcmp(out, expected, got) == 0);
	/* Cut anywhere, or with less room, it must be refused. */
	for (size_t cut = 0; cut < size; cut++)
		CHECK(!lzo_decode((struct bytes){ stream, cut }, out, sizeof(out), &got));
	for (size_t room = 0; room < strlen(expected); room++)
		CHECK(!lzo_decode((struct bytes){ stream, size }, out, room, &got));
}

#define CHECK_STREAM(expected, ...) \
	check_stream((const uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }), expected)

static void decodes_every_instruction(void)
{
	/* First byte 17 + 4 and more: literals; then the end. */
	CHECK_STREAM("abcd", 21, 'a', 'b', 'c', 'd', 0x11, 0, 0);
	/* A run of 3 + 1; 01L: 3 bytes from 2 back, one literal after it. */
	CHECK_STREAM("abcdcdcx", 1, 'a', 'b', 'c', 'd', 0x40 | 1 << 2 | 1, 0, 'x', 0x11, 0, 0);
	/* 1LL: 8 bytes from 1 back; 001: 2 + 3 from 4 back. */
	CHECK_STREAM("abcdddddddddddddd", 21, 'a', 'b', 'c', 'd', 0xe0, 0, 0x23, 3 << 2, 0, 0x11, 0,
		     0);
}

static void decodes_short_matches(void)
{
	/* After one literal, instruction 0: 2 bytes from 1 back. */
	CHECK_STREAM("aaay", 18, 'a', 0x01, 0, 'y', 0x11, 0, 0);
	/* Long runs: 3 + 15 + 2 literals. */
	CHECK_STREAM("0123456789abcdefghij", 0, 2, '0', '1', '2', '3', '4', '5', '6', '7', '8', '9',
		     'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 0x11, 0, 0);
}

static void refuses_what_is_before_the_start(void)
{
	static const uint8_t far[] = { 18, 'a', 0x40 | 1 << 2, 0, 0x11, 0, 0 };
	static const uint8_t run_first[] = { 21, 'a', 'b', 'c', 'd', 0, 0, 0x11, 0, 0 };
	static const uint8_t more[] = { 18, 'a', 0x11, 0, 0, 0 };
	uint8_t out[64];
	size_t size;

	CHECK(!lzo_decode((struct bytes){ far, sizeof(far) }, out, sizeof(out), &size));
	CHECK(!lzo_decode((struct bytes){ run_first, sizeof(run_first) }, out, sizeof(out), &size));
	CHECK(!lzo_decode((struct bytes){ more, sizeof(more) }, out, sizeof(out), &size));
}

/* Distances above 2048 and above 16384, after a run and after a match. */
static void decodes_far_matches(void)
{
	static uint8_t stream[20100], out[20100];
	size_t size = 0, got;

	stream[size++] = 0; /* 20,000 literals: 3 + 15 + 78 * 255 + 92 */
	size += 78;
	stream[size++] = 92;
	for (size_t i = 0; i < 20000; i++)
		stream[size++] = (uint8_t)(i * 131 >> 3);
	memcpy(stream + size, (uint8_t[]){ 3 << 2 | 0, 5 }, 2); /* 3 bytes from 2049 + 23 back */
	size += 2;
	memcpy(stream + size, (uint8_t[]){ 0x10 | 4, 7 << 2, 1 }, 3); /* 6 from 16384 + 71 */
	size += 3;
	memcpy(stream + size, (uint8_t[]){ 0x11, 0, 0 }, 3);
	size += 3;
	CHECK(lzo_decode((struct bytes){ stream, size }, out, sizeof(out), &got));
	CHECK_EQUAL(got, 20009);
	CHECK(memcmp(out + 20000, out + 20000 - 2072, 3) == 0);
	CHECK(memcmp(out + 20003, out + 20003 - 16455, 6) == 0);
}

/* Bitstream version 1, lzo-rle: 24 to 31 with the greatest distance is a run of zeros, then 0 to 3 literals. */
static void decodes_runs_of_zeros(void)
{
	uint8_t out[64];
	size_t got;
	static const uint8_t run[] = { 17,   1,    21, 'a', 'b', 'c',  'd', 0x18 | 5,
				       0xfe, 0xff, 1,  'x', 'y', 0x11, 0,   0 };

	CHECK(lzo_decode((struct bytes){ run, sizeof(run) }, out, sizeof(out), &got));
	CHECK_EQUAL(got, 4 + 17 + 2); /* 5 + 8 * 1 + 4 */
	CHECK(memcmp(out, "abcd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0xy", got) == 0);
	for (size_t cut = 0; cut < sizeof(run); cut++)
		CHECK(!lzo_decode((struct bytes){ run, cut }, out, sizeof(out), &got));
	for (size_t room = 0; room < 23; room++)
		CHECK(!lzo_decode((struct bytes){ run, sizeof(run) }, out, room, &got));
	/* The same bytes of version 0 would be a match from 49151 back, and a later version is unknown. */
	CHECK(!lzo_decode((struct bytes){ run + 2, sizeof(run) - 2 }, out, sizeof(out), &got));
	uint8_t later[sizeof(run)];
	memcpy(later, run, sizeof(run));
	later[1] = 2;
	CHECK(!lzo_decode((struct bytes){ later, sizeof(run) }, out, sizeof(out), &got));
	static const uint8_t plain[] = { 17, 2, 21, 'a', 'b', 'c', 'd', 0x11, 0, 0 };
	CHECK(!lzo_decode((struct bytes){ plain, sizeof(plain) }, out, sizeof(out), &got));
	/* A version may be said of a stream without runs, and version 0, too. */
	later[1] = 0;
	memcpy(later + 7, "\x11\0\0", 3);
	CHECK(lzo_decode((struct bytes){ later, 10 }, out, sizeof(out), &got));
	CHECK_EQUAL(got, 4);
}

/* Two bytes of literals after a run make the next instruction a short match of 2 bytes. */
static void keeps_state_after_runs(void)
{
	static const uint8_t stream[] = { 17,   1, 21,  'a', 'b',  'c', 'd',  0x18, 0xfe,
					  0xff, 0, 'x', 'y', 0x04, 0,   0x11, 0,    0 };
	uint8_t out[64];
	size_t got;

	CHECK(lzo_decode((struct bytes){ stream, sizeof(stream) }, out, sizeof(out), &got));
	CHECK_EQUAL(got, 12);
	CHECK(memcmp(out, "abcd\0\0\0\0xyxy", 12) == 0);
}

/* In version 1, too, other distances of these instructions are matches. */
static void decodes_far_matches_beside_runs(void)
{
	static uint8_t data[50000], stream[60000], out[60000];
	size_t size, got;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(1 | i * 131 >> 3);
	size = lzo_pack(data, sizeof(data), stream) - 3;
	memcpy(stream + size, "\x1c\xf8\xff\x11\0\0", 6); /* 6 bytes from 16384 + 32768 - 2 back */
	CHECK(lzo_decode((struct bytes){ stream, size + 6 }, out, sizeof(out), &got));
	CHECK_EQUAL(got, sizeof(data) + 6);
	CHECK(memcmp(out, data, sizeof(data)) == 0);
	CHECK(memcmp(out + sizeof(data), data + sizeof(data) - 49150, 6) == 0);
	memcpy(stream + size, "\x14\xfc\xff\x11\0\0", 6); /* 6 bytes from 16384 + 16383 back */
	CHECK(lzo_decode((struct bytes){ stream, size + 6 }, out, sizeof(out), &got));
	CHECK(memcmp(out + sizeof(data), data + sizeof(data) - 32767, 6) == 0);
	/* In version 0, what would be a run of zeros is a match like others. */
	stream[1] = 0;
	memcpy(stream + size, "\x1c\xfc\xff\x11\0\0", 6);
	CHECK(lzo_decode((struct bytes){ stream, size + 6 }, out, sizeof(out), &got));
	CHECK_EQUAL(got, sizeof(data) + 6);
	CHECK(memcmp(out + sizeof(data), data + sizeof(data) - 49151, 6) == 0);
}

static void unpacks_what_was_packed(void)
{
	static const size_t runs[] = { 0, 1, 3, 4, 5, 11, 12, 19, 2050, 2051, 2052, 4000 };
	uint8_t page[4096], stream[6000], out[4096];
	size_t got;

	for (size_t i = 0; i < sizeof(runs) / sizeof(*runs); i++) {
		for (size_t start = 0; start < 90; start += 7) {
			for (size_t n = 0; n < sizeof(page); n++)
				page[n] = (uint8_t)(1 | n);
			memset(page + start, 0, runs[i]);
			memset(page + 4092, 0, i % 5);
			size_t size = lzo_pack(page, sizeof(page), stream);
			CHECK(lzo_decode((struct bytes){ stream, size }, out, sizeof(out), &got));
			CHECK_EQUAL(got, sizeof(page));
			CHECK(memcmp(out, page, sizeof(page)) == 0);
		}
	}
}

TAP_MAIN(TEST(decodes_every_instruction), TEST(decodes_short_matches),
	 TEST(refuses_what_is_before_the_start), TEST(decodes_far_matches),
	 TEST(decodes_runs_of_zeros), TEST(keeps_state_after_runs),
	 TEST(decodes_far_matches_beside_runs), TEST(unpacks_what_was_packed))

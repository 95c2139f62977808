/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* NetTLP datagrams, as libtlp and the adapter write them. */
#include "format/nettlp_format.h"
#include "tap.h"

#define CHECK_BYTES(data, ...)                                 \
	CHECK(memcmp((data), (const uint8_t[]){ __VA_ARGS__ }, \
		     sizeof((const uint8_t[]){ __VA_ARGS__ })) == 0)

static const char *decode_read(const uint8_t *tlp, size_t size, struct tlp_read *out)
{
	return tlp_read_decode((struct bytes){ tlp, size }, out);
}

static void knows_headers(void)
{
	const struct nettlp_header header = { 0x1234, 0x56789abc };
	const uint8_t short_one[5] = { 0 };
	uint8_t datagram[NETTLP_HEADER_SIZE + 2] = { [6] = 7, 8 };
	struct nettlp_header out;
	struct bytes tlp;

	nettlp_header_encode(&header, datagram);
	CHECK_BYTES(datagram, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 7, 8);
	CHECK(nettlp_header_decode((struct bytes){ datagram, sizeof(datagram) }, &out, &tlp));
	CHECK(out.sequence == 0x1234 && out.timestamp == 0x56789abc);
	CHECK(tlp.data == datagram + 6 && tlp.size == 2);
	CHECK(nettlp_header_decode((struct bytes){ datagram, 6 }, &out, &tlp) && tlp.size == 0);
	CHECK(!nettlp_header_decode((struct bytes){ short_one, 5 }, &out, &tlp));
	CHECK(!nettlp_header_decode((struct bytes){ NULL, 0 }, &out, &tlp));
}

/* Byte for byte, by hand from section 2.2.7. */
static void encodes_reads(void)
{
	struct tlp_read read = { .address = 0x10f1, .size = 64, .requester = 0x0100, .tag = 0x25 };
	uint8_t out[TLP_READ_SIZE_MAX];

	CHECK_EQUAL(tlp_read_encode(&read, out), 12);
	CHECK_BYTES(out, 0x00, 0, 0, 17, 0x01, 0x00, 0x25, 0x1e, 0, 0, 0x10, 0xf0);
	read = (struct tlp_read){ .address = 0x123456789a, .size = 1, .tag = 255 };
	CHECK_EQUAL(tlp_read_encode(&read, out), 16);
	CHECK_BYTES(out, 0x20, 0, 0, 1, 0, 0, 0xff, 0x04, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x98);
	/* The last byte below 4 GiB, and the first one above. */
	read = (struct tlp_read){ .address = 0xffffffff, .size = 1 };
	CHECK_EQUAL(tlp_read_encode(&read, out), 12);
	CHECK_BYTES(out, 0x00, 0, 0, 1, 0, 0, 0, 0x08, 0xff, 0xff, 0xff, 0xfc);
	read.address++;
	CHECK_EQUAL(tlp_read_encode(&read, out), 16);
	CHECK_BYTES(out, 0x20, 0, 0, 1, 0, 0, 0, 0x01, 0, 0, 0, 1, 0, 0, 0, 0);
	/* 1024 words are a length of 0, and none of it flows over into the address type. */
	read = (struct tlp_read){ .address = 0x5000, .size = 4096 };
	CHECK_EQUAL(tlp_read_encode(&read, out), 12);
	CHECK_BYTES(out, 0x00, 0, 0, 0, 0, 0, 0, 0xff, 0, 0, 0x50, 0);
}

/* Which bytes a read asks for: bit i is the byte at the address of its words + i. */
static void enabled_bytes(const uint8_t *tlp, uint8_t *out, size_t *words)
{
	*words = (size_t)(tlp[2] & 3) << 8 | tlp[3];
	for (size_t i = 0; i < 4 * *words; i++)
		out[i] = i < 4                 ? tlp[7] >> i & 1
			 : i >= 4 * *words - 4 ? tlp[7] >> (4 + i % 4) & 1
					       : 1;
}

static void enables_just_the_bytes(void)
{
	uint8_t tlp[TLP_READ_SIZE_MAX], enabled[256];
	size_t words;

	for (unsigned offset = 0; offset < 64; offset++) {
		for (unsigned size = 1; size <= 64; size++) {
			struct tlp_read read = { .address = 0x7000 + offset, .size = size }, again;
			size_t encoded = tlp_read_encode(&read, tlp);
			enabled_bytes(tlp, enabled, &words);
			CHECK_EQUAL(words, (offset % 4 + size + 3) / 4);
			for (size_t i = 0; i < 4 * words; i++)
				CHECK_EQUAL(enabled[i], i >= offset % 4 && i < offset % 4 + size);
			CHECK(!decode_read(tlp, encoded, &again));
			CHECK_EQUAL(again.address, read.address);
			CHECK_EQUAL(again.size, size);
		}
	}
}

static void decodes_what_it_encodes(void)
{
	static const uint64_t bases[] = { 0,           0x1000,        0xfffff000,
					  0x100000000, 0x3fffffff000, 0xfffffffffffff000 };
	uint8_t tlp[TLP_READ_SIZE_MAX];

	for (size_t i = 0; i < sizeof(bases) / sizeof(*bases); i++) {
		for (unsigned offset = 0; offset < 4096; offset += 61) {
			struct tlp_read read = { .address = bases[i] + offset,
						 .size = 4096 - offset,
						 .requester = 0xabcd,
						 .tag = (uint8_t)offset },
					again;
			size_t size = tlp_read_encode(&read, tlp);
			CHECK_EQUAL(size, bases[i] >> 32 ? 16 : 12);
			CHECK(!decode_read(tlp, size, &again));
			CHECK_EQUAL(again.address, read.address);
			CHECK_EQUAL(again.size, read.size);
			CHECK(again.requester == 0xabcd && again.tag == read.tag);
			CHECK_EQUAL(again.address_type, 0);
		}
	}
}

/* What libtlp sends for 4096 bytes: the length runs over into the address type. */
static void decodes_what_libtlp_sends(void)
{
	uint8_t whole[] = { 0x00, 0, 0x04, 0x00, 0, 0, 1, 0xff, 0, 0, 0x20, 0 };
	/* It takes addresses from 0xffffffff on for long ones. */
	uint8_t high[] = { 0x20, 0, 0, 1, 0, 0, 1, 0x08, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xfc };
	struct tlp_read read;

	CHECK(!decode_read(whole, sizeof(whole), &read));
	CHECK(read.size == 4096 && read.address == 0x2000 && read.address_type == 1);
	CHECK(!decode_read(high, sizeof(high), &read));
	CHECK(read.size == 1 && read.address == 0xffffffff && read.address_type == 0);
}

static void knows_reads_of_nothing(void)
{
	uint8_t flush[] = { 0x00, 0, 0, 1, 0, 0, 1, 0x00, 0, 0, 0x20, 3 };
	struct tlp_read read;

	CHECK(!decode_read(flush, sizeof(flush), &read));
	/* The two bits that are no address are not part of one. */
	CHECK(read.size == 0 && read.address == 0x2000);
}

static void refuses_what_is_no_read(void)
{
	uint8_t tlp[] = { 0x20, 0, 0, 2, 0, 0, 0, 0xff, 0, 0, 0, 1, 0, 0, 0, 0 };
	struct tlp_read read;

	for (size_t size = 0; size < sizeof(tlp); size++)
		CHECK_SAYS(decode_read(tlp, size, &read), "it is cut short");
	tlp[7] = 0x0f;
	CHECK_SAYS(decode_read(tlp, sizeof(tlp), &read), "asks for nothing");
	tlp[7] = 0xf0;
	CHECK_SAYS(decode_read(tlp, sizeof(tlp), &read), "asks for nothing");
	tlp[3] = 1;
	CHECK_SAYS(decode_read(tlp, sizeof(tlp), &read), "byte enables for another");
	for (unsigned type = 0; type < 256; type++) {
		tlp[0] = (uint8_t)type;
		if (type != 0x00 && type != 0x20)
			CHECK_SAYS(decode_read(tlp, sizeof(tlp), &read), "it is no memory read");
	}
}

/* --- completions */

static void encodes_completions(void)
{
	static const uint8_t data[4096] = { 0 };
	struct tlp_completion completion = {
		.completer = 0x1234,
		.requester = 0x0100,
		.tag = 0x25,
		.lower_address = 0x71,
		.remaining = 64,
		.data = { data, 68 },
	};
	uint8_t out[TLP_COMPLETION_SIZE];

	CHECK_EQUAL(tlp_completion_encode(&completion, out), 12);
	CHECK_BYTES(out, 0x4a, 0, 0, 17, 0x12, 0x34, 0, 64, 1, 0, 0x25, 0x71);
	completion.is_poisoned = true;
	completion.remaining = 4096;
	completion.data.size = 4096;
	tlp_completion_encode(&completion, out);
	CHECK_BYTES(out, 0x4a, 0, 0x40, 0, 0x12, 0x34, 0, 0, 1, 0, 0x25, 0x71);
	completion = (struct tlp_completion){ .status = TLP_COMPLETER_ABORT, .remaining = 4095 };
	tlp_completion_encode(&completion, out);
	CHECK_BYTES(out, 0x0a, 0, 0, 0, 0, 0, 0x8f, 0xff, 0, 0, 0, 0);
}

static void check_completion(const struct tlp_completion *completion)
{
	static uint8_t tlp[TLP_COMPLETION_SIZE + TLP_DATA_MAX];
	struct tlp_completion again;
	size_t size = tlp_completion_encode(completion, tlp) + completion->data.size;

	CHECK(!tlp_completion_decode((struct bytes){ tlp, size }, &again));
	CHECK(again.completer == completion->completer && again.requester == completion->requester);
	CHECK(again.tag == completion->tag && again.status == completion->status);
	CHECK_EQUAL(again.lower_address, completion->lower_address);
	CHECK_EQUAL(again.remaining, completion->remaining);
	CHECK_EQUAL(again.is_poisoned, completion->is_poisoned);
	CHECK_EQUAL(again.data.size, completion->data.size);
	CHECK(size == TLP_COMPLETION_SIZE || again.data.data == tlp + TLP_COMPLETION_SIZE);
	/* Cut anywhere, it is none; what comes behind it is not part of it. */
	for (size_t cut = 0; cut < size; cut += cut < 16 ? 1 : 97)
		CHECK_SAYS(tlp_completion_decode((struct bytes){ tlp, cut }, &again),
			   cut < 12 ? "it is cut short" : "fewer data");
}

static void decodes_completions(void)
{
	static const uint8_t data[TLP_DATA_MAX] = { 0 };

	for (uint32_t size = 0; size <= TLP_DATA_MAX; size += 4) {
		const struct tlp_completion completion = {
			.completer = (uint16_t)(size * 7),
			.requester = (uint16_t)(0xffff - size),
			.tag = (uint8_t)(size / 4),
			.status = size / 4 % 8,
			.lower_address = size / 4 % 128,
			.is_poisoned = size & 4,
			.remaining = size % 4096 + 1,
			.data = { data, size },
		};
		check_completion(&completion);
	}
}

static void refuses_what_is_no_completion(void)
{
	uint8_t tlp[TLP_COMPLETION_SIZE + 4] = { [3] = 1 };
	struct tlp_completion out;

	for (unsigned type = 0; type < 256; type++) {
		tlp[0] = (uint8_t)type;
		const char *problem =
			tlp_completion_decode((struct bytes){ tlp, sizeof(tlp) }, &out);
		if (type == 0x0a || type == 0x4a)
			CHECK(!problem);
		else
			CHECK_SAYS(problem, "it is no completion");
	}
}

TAP_MAIN(TEST(knows_headers), TEST(encodes_reads), TEST(enables_just_the_bytes),
	 TEST(decodes_what_it_encodes), TEST(decodes_what_libtlp_sends),
	 TEST(knows_reads_of_nothing), TEST(refuses_what_is_no_read), TEST(encodes_completions),
	 TEST(decodes_completions), TEST(refuses_what_is_no_completion))

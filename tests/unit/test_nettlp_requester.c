/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The requester without sockets: no answer passes for another request's, and every batch ends. */
#include "source/nettlp_requester.h"
#include "source/nettlp_tag.h"
#include "tap.h"

#define MILLISECOND 1000000ull
#define MEMORY      (1u << 20)

static const struct nettlp_settings settings = {
	.port = NETTLP_DEVICE_PORT,
	.tags = 4,
	.sockets = 4,
	.read_size = 512,
	.data_size = 4096,
	.requester = 0x0100,
	.timeout = 100,
	.quarantine = 2000,
};

static uint8_t byte_at(uint64_t physical)
{
	return (uint8_t)(physical * 0x9e3779b97f4a7c15ull >> 32);
}

static bool is_right(const struct remote_read *read)
{
	for (size_t i = 0; i < read->size; i++)
		if (read->buffer[i] != byte_at(read->physical + i))
			return false;
	return true;
}

static struct tlp_read decode(const struct nettlp_datagram *datagram)
{
	struct nettlp_header header;
	struct tlp_read read;
	struct bytes tlp;

	CHECK(nettlp_header_decode((struct bytes){ datagram->data, datagram->size }, &header,
				   &tlp));
	CHECK(tlp_read_decode(tlp, &read) == NULL);
	return read;
}

/* The whole answer in one completion, of the bytes that were at the read's address, xor wrong. */
static void answer(struct nettlp_requester *requester, const struct tlp_read *read, uint32_t stamp,
		   uint8_t wrong, uint64_t now)
{
	uint8_t datagram[NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + 1024];
	const struct nettlp_header header = { 0, stamp };
	uint64_t start = read->address & ~3ull;
	size_t size = (read->address - start + read->size + 3) & ~3u;
	const struct tlp_completion completion = {
		.requester = read->requester,
		.tag = read->tag,
		.lower_address = read->address & 0x7f,
		.remaining = read->size,
		.data = { datagram, size },
	};

	nettlp_header_encode(&header, datagram);
	tlp_completion_encode(&completion, datagram + NETTLP_HEADER_SIZE);
	for (size_t i = 0; i < size; i++)
		datagram[NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + i] = byte_at(start + i) ^ wrong;
	nettlp_requester_take(
		requester, read->tag,
		(struct bytes){ datagram, NETTLP_HEADER_SIZE + TLP_COMPLETION_SIZE + size }, now);
}

/* Every request is answered, and all earlier ones of its tag once more, with what is wrong now. */
static void tells_doubles(void)
{
	static uint8_t memory[MEMORY];
	struct remote_read read = { .physical = 0x100004,
				    .buffer = memory,
				    .size = sizeof(memory) };
	CLEANUP(cleanup_nettlp_requester) struct nettlp_requester *requester = NULL;
	struct tlp_read before[4][6] = { 0 };
	struct nettlp_datagram datagram;
	uint64_t now = 1;

	CHECK(nettlp_requester_open(&settings, &requester, NULL) == KIOKU_OK);
	nettlp_requester_begin(requester, &read, 1, now);
	while (nettlp_requester_goes_on(requester, now)) {
		if (!nettlp_requester_next(requester, &datagram))
			continue;
		struct tlp_read asked = decode(&datagram), *old = before[asked.tag];
		for (size_t i = 0; i < 6; i++)
			if (old[i].size > 0)
				answer(requester, &old[i], 0, 0xff, now);
		answer(requester, &asked, 0, 0, now);
		memmove(old + 1, old, 5 * sizeof(*old));
		old[0] = asked;
		now += 1000;
	}
	CHECK(read.status == KIOKU_OK && is_right(&read));
	CHECK(nettlp_requester_counts(requester)->strange > 1000);
}

/* An adapter's clock tells what is older than a request, however alike they are. */
static void believes_a_clock(void)
{
	static uint8_t memory[4096];
	struct remote_read read = { .physical = 0x3000, .buffer = memory, .size = sizeof(memory) };
	CLEANUP(cleanup_nettlp_requester) struct nettlp_requester *requester = NULL;
	struct nettlp_datagram datagram;
	uint64_t now = 1;
	uint32_t stamp = 0xffffff00; /* it wraps around */

	CHECK(nettlp_requester_open(&settings, &requester, NULL) == KIOKU_OK);
	for (unsigned round = 0; round < 50; round++) {
		memset(memory, 0, sizeof(memory));
		nettlp_requester_begin(requester, &read, 1, now);
		while (nettlp_requester_goes_on(requester, now)) {
			if (!nettlp_requester_next(requester, &datagram))
				continue;
			struct tlp_read asked = decode(&datagram);
			if (round > 2)
				answer(requester, &asked, stamp - 1, 0xff, now);
			answer(requester, &asked, stamp += 16, 0, now);
			now += 1000;
		}
		CHECK(read.status == KIOKU_OK && is_right(&read));
	}
}

/* What is never answered is asked for by other tags or with other ends, and then given up. */
static void gives_up(unsigned tags, size_t dead)
{
	uint8_t memory[8192];
	struct remote_read reads[2] = { 0 };
	CLEANUP(cleanup_nettlp_requester) struct nettlp_requester *requester = NULL;
	struct nettlp_datagram datagram;
	bool asked[4][128][64] = { 0 }; /* by tag, end, and size if it lies within a block */
	struct nettlp_settings with_tags = settings;
	uint64_t now = 1;

	reads[dead] = (struct remote_read){ .physical = 0x5000, .buffer = memory, .size = 64 };
	reads[!dead] =
		(struct remote_read){ .physical = 0x6000, .buffer = memory + 64, .size = 64 };
	with_tags.tags = with_tags.sockets = tags;
	CHECK(nettlp_requester_open(&with_tags, &requester, NULL) == KIOKU_OK);
	nettlp_requester_begin(requester, reads, 2, now);
	while (nettlp_requester_goes_on(requester, now)) {
		while (nettlp_requester_next(requester, &datagram)) {
			struct tlp_read read = decode(&datagram);
			if (read.address >= 0x6000) {
				answer(requester, &read, 0, 0, now);
				continue;
			}
			uint32_t size = read.address % 64 ? read.size : 0;
			bool *is_asked = &asked[read.tag][(read.address + read.size) % 128][size];
			CHECK(!*is_asked || now > 2000 * MILLISECOND);
			*is_asked = true;
		}
		uint64_t wake = nettlp_requester_wake(requester);
		CHECK(wake < now + 100000 * MILLISECOND);
		now = wake > now ? wake : now + 1;
	}
	CHECK_EQUAL(reads[dead].status, KIOKU_ERROR_ABSENT);
	CHECK_EQUAL(reads[dead].failed_at, 0x5000);
	CHECK(reads[!dead].status == KIOKU_OK && is_right(&reads[!dead]));
}

static void gives_up_by_any_tag(void)
{
	gives_up(4, 0);
	gives_up(4, 1);
}

/* That which answers has to come first: the other keeps the tag. */
static void gives_up_by_one_tag(void)
{
	gives_up(1, 1);
}

/* A target that stands still, and then has lost what it was asked: nothing is called unreadable for that. */
static void waits_for_a_standstill(void)
{
	uint8_t memory[128];
	struct remote_read reads[] = { { .physical = 0x5000, .buffer = memory, .size = 64 },
				       { .physical = 0x6000, .buffer = memory + 64, .size = 64 } };
	CLEANUP(cleanup_nettlp_requester) struct nettlp_requester *requester = NULL;
	struct nettlp_datagram datagram;
	uint64_t now = 1, wakes = 20000 * MILLISECOND;
	bool has_answered = false;

	CHECK(nettlp_requester_open(&settings, &requester, NULL) == KIOKU_OK);
	nettlp_requester_begin(requester, reads, 2, now);
	while (nettlp_requester_goes_on(requester, now)) {
		while (nettlp_requester_next(requester, &datagram)) {
			struct tlp_read read = decode(&datagram);
			if (now < wakes && (has_answered || read.address < 0x6000))
				continue;
			answer(requester, &read, 0, 0, now + 1);
			has_answered = true;
		}
		uint64_t wake = nettlp_requester_wake(requester);
		now = wake > now ? wake : now + 1;
	}
	CHECK(reads[0].status == KIOKU_OK && is_right(&reads[0]));
	CHECK(reads[1].status == KIOKU_OK && is_right(&reads[1]));
}

static void notices_silence(void)
{
	uint8_t memory[64];
	struct remote_read read = { .physical = 0x5000, .buffer = memory, .size = sizeof(memory) };
	CLEANUP(cleanup_nettlp_requester) struct nettlp_requester *requester = NULL;
	struct nettlp_datagram datagram;
	uint64_t now = 1;

	CHECK(nettlp_requester_open(&settings, &requester, NULL) == KIOKU_OK);
	nettlp_requester_begin(requester, &read, 1, now);
	while (nettlp_requester_goes_on(requester, now)) {
		while (nettlp_requester_next(requester, &datagram))
			;
		now = nettlp_requester_wake(requester);
	}
	CHECK_EQUAL(read.status, KIOKU_ERROR_OS);
	CHECK(now < 10000 * MILLISECOND);
	/* Nothing more is tried. */
	nettlp_requester_begin(requester, &read, 1, now);
	CHECK(!nettlp_requester_goes_on(requester, now));
	CHECK_EQUAL(read.status, KIOKU_ERROR_OS);
}

/* Small reads are never split, whatever was asked for before; large ones only ever get shorter. */
static void ends_differ(void)
{
	static struct nettlp_tag tag;
	struct nettlp_ask before[8] = { 0 };

	for (unsigned i = 0; i < 20000; i++) {
		uint32_t size = i % 3 ? 8 : 512;
		struct nettlp_ask wanted = { 0x1000 + (i * 4096u) % 65536 + (i % 5) * 512, size };
		struct nettlp_ask ask = nettlp_tag_fit(&tag, &wanted, 512, i, false);
		uint64_t end = wanted.address + size, got = ask.address + ask.size;
		CHECK(ask.size > 0 && ask.size <= 512 && ask.address <= wanted.address);
		CHECK(ask.address / 64 == wanted.address / 64);
		CHECK(size == 8 ? got >= end && got <= (end + 63) / 64 * 64 : got <= end);
		for (unsigned j = 0; j < 7; j++)
			CHECK(ask.size != before[j].size ||
			      got % 128 != (before[j].address + before[j].size) % 128);
		nettlp_tag_use(&tag, &ask, i);
		before[i % 7] = ask;
	}
}

TAP_MAIN(TEST(tells_doubles), TEST(believes_a_clock), TEST(gives_up_by_any_tag),
	 TEST(gives_up_by_one_tag), TEST(waits_for_a_standstill), TEST(notices_silence),
	 TEST(ends_differ))

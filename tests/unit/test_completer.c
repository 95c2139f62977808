/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a memory read is answered with, and how answers are spoiled. */
#include "serve/faults.h"
#include "test_image.h"

enum { PAGE = 4096, PAGES = 4, SIZE = PAGES * PAGE - 100 };

/* A source whose byte i is known, and the completer over it. */
struct fixture {
	struct heard heard;
	uint8_t data[SIZE];
	struct kioku_source *source;
	struct completer completer;
	struct completions out;
};

static struct fixture *set_up(uint32_t payload, uint32_t boundary)
{
	static struct fixture fixture;

	kioku_source_close(fixture.source);
	for (size_t i = 0; i < SIZE; i++)
		fixture.data[i] = (uint8_t)(i * 31 + i / 251 + 1);
	fixture.source = open_as("raw:", fixture.data, SIZE, &fixture.heard);
	CHECK(fixture.source);
	fixture.completer = (struct completer){
		.source = fixture.source,
		.payload = payload,
		.boundary = boundary,
		.id = 0x1234,
	};
	return &fixture;
}

static enum completer_verdict ask(struct fixture *fixture, uint64_t address, uint32_t size,
				  struct random *splits)
{
	const struct tlp_read read = { address, size, 0x0100, 0x25, 0 };

	return completer_answer(&fixture->completer, &read, splits, &fixture->out);
}

/* As a requester puts them together again; every rule of section 2.3.1.1 is checked. */
static void check_answer(const struct fixture *fixture, uint32_t start, uint32_t size)
{
	const struct completer *completer = &fixture->completer;
	uint32_t at = start;

	CHECK(fixture->out.count > 0);
	for (size_t i = 0; i < fixture->out.count; i++) {
		const struct tlp_completion *completion = &fixture->out.list[i];
		uint32_t skipped = at & 3, left = start + size - at;
		uint32_t count = (uint32_t)completion->data.size - skipped;

		CHECK(completion->completer == 0x1234 && completion->requester == 0x0100);
		CHECK(completion->tag == 0x25 && completion->status == TLP_SUCCESSFUL);
		CHECK_EQUAL(completion->lower_address, at & 0x7f);
		CHECK_EQUAL(completion->remaining, left);
		CHECK(completion->data.size > 0 && completion->data.size % 4 == 0);
		CHECK(completion->data.size <= completer->payload);
		count = count < left ? count : left;
		CHECK(memcmp(completion->data.data + skipped, fixture->data + at, count) == 0);
		at += count;
		if (i + 1 < fixture->out.count)
			CHECK_EQUAL(at % completer->boundary, 0);
	}
	CHECK_EQUAL(at, start + size);
}

static const uint32_t payloads[] = { 128, 256, 512, 1024, 2048, 4096 };

static void answers_every_read(void)
{
	for (size_t i = 0; i < 2 * sizeof(payloads) / sizeof(*payloads); i++) {
		struct fixture *fixture = set_up(payloads[i / 2], i % 2 ? 64 : 128);
		for (uint32_t start = PAGE; start < 2 * PAGE; start += start % 128 < 9 ? 1 : 17)
			for (uint32_t size = 1; size <= 2 * PAGE - start;
			     size += size % 256 < 9 ? 1 : 61) {
				CHECK_EQUAL(ask(fixture, start, size, NULL), COMPLETER_DONE);
				check_answer(fixture, start, size);
			}
	}
}

static void splits_wherever_it_may(void)
{
	struct random random = { 1 };
	unsigned seen = 0; /* a bit for each number of completions */

	for (size_t i = 0; i < 2 * sizeof(payloads) / sizeof(*payloads); i++) {
		struct fixture *fixture = set_up(payloads[i / 2], i % 2 ? 64 : 128);
		for (unsigned turn = 0; turn < 5000; turn++) {
			uint32_t start = random_below(&random, 3 * PAGE);
			uint32_t size = 1 + random_below(&random, PAGE - start % PAGE);
			CHECK_EQUAL(ask(fixture, start, size, &random), COMPLETER_DONE);
			check_answer(fixture, start, size);
			ask(fixture, PAGE, 256, &random);
			seen |= fixture->completer.payload == 4096 && i % 2
					? 1u << fixture->out.count
					: 0;
		}
	}
	/* 256 bytes with a boundary of 64: one to four of them. */
	CHECK_EQUAL(seen, 0x1e);
}

static void needs_one_where_one_is_enough(void)
{
	struct fixture *fixture = set_up(256, 64);

	/* libtlp is wrong about the second completion of a read that is not aligned. */
	ask(fixture, 0x10f1, 64, NULL);
	CHECK_EQUAL(fixture->out.count, 1);
	ask(fixture, 0x1003, 253, NULL);
	CHECK_EQUAL(fixture->out.count, 1);
	ask(fixture, 0x1003, 254, NULL); /* 257 bytes, in words 260 */
	CHECK_EQUAL(fixture->out.count, 2);
	check_answer(fixture, 0x1003, 254);
	ask(fixture, 0x1000, 512, NULL);
	CHECK_EQUAL(fixture->out.count, 2);
	fixture = set_up(4096, 64);
	ask(fixture, 0x1000, 4096, NULL);
	CHECK_EQUAL(fixture->out.count, 1);
	CHECK_EQUAL(fixture->out.list[0].remaining, 4096);
}

static void zeros_what_was_not_asked_for(void)
{
	struct fixture *fixture = set_up(256, 64);

	ask(fixture, 0x1001, 5, NULL);
	const uint8_t *data = fixture->out.list[0].data.data;
	CHECK_EQUAL(fixture->out.list[0].data.size, 8);
	CHECK(data[0] == 0 && data[6] == 0 && data[7] == 0);
	ask(fixture, 0x1001, 1, NULL);
	CHECK(data[0] == 0 && data[1] == fixture->data[0x1001] && data[2] == 0 && data[3] == 0);
}

static void answers_reads_of_nothing(void)
{
	struct fixture *fixture = set_up(256, 64);

	CHECK_EQUAL(ask(fixture, 0x1040, 0, NULL), COMPLETER_DONE);
	CHECK_EQUAL(fixture->out.count, 1);
	const struct tlp_completion *completion = &fixture->out.list[0];
	CHECK(completion->data.size == 4 && bytes_are_zero(completion->data.data, 4));
	CHECK(completion->remaining == 1 && completion->lower_address == 0x40);
	CHECK_EQUAL(ask(fixture, UINT64_MAX & ~3ull, 0, NULL), COMPLETER_OUTSIDE);
}

static void check_refusal(const struct fixture *fixture, uint8_t status, uint32_t remaining)
{
	const struct tlp_completion *completion = &fixture->out.list[0];

	CHECK_EQUAL(fixture->out.count, 1);
	CHECK_EQUAL(completion->status, status);
	CHECK_EQUAL(completion->data.size, 0);
	CHECK_EQUAL(completion->remaining, remaining);
	CHECK(completion->tag == 0x25 && completion->requester == 0x0100);
}

static void refuses_what_is_no_ram(void)
{
	struct fixture *fixture = set_up(256, 64);
	CLEANUP(range_map_release) struct range_map ram = { 0 };

	CHECK_EQUAL(ask(fixture, SIZE - 1, 1, NULL), COMPLETER_DONE);
	CHECK_EQUAL(ask(fixture, SIZE - 1, 2, NULL), COMPLETER_OUTSIDE);
	check_refusal(fixture, TLP_UNSUPPORTED_REQUEST, 2);
	CHECK_EQUAL(ask(fixture, UINT64_MAX, 1, NULL), COMPLETER_OUTSIDE);
	CHECK_EQUAL(ask(fixture, 0xfffff00000001000, 4096, NULL), COMPLETER_OUTSIDE);

	/* Two ranges that touch, and one that goes on where the source has nothing. */
	CHECK(range_map_add(&ram, (struct extent){ 0x100, 0x100, 0, 0 }));
	CHECK(range_map_add(&ram, (struct extent){ 0x200, 0x80, 9, 0 }));
	CHECK(range_map_add(&ram, (struct extent){ 0x3000, 0x2000, 0, 0 }));
	CHECK(range_map_normalise(&ram));
	fixture->completer.ram = &ram;
	CHECK_EQUAL(ask(fixture, 0x100, 0x180, NULL), COMPLETER_DONE);
	check_answer(fixture, 0x100, 0x180);
	CHECK_EQUAL(ask(fixture, 0x100, 0x181, NULL), COMPLETER_OUTSIDE);
	CHECK_EQUAL(ask(fixture, 0xff, 2, NULL), COMPLETER_OUTSIDE);
	CHECK_EQUAL(ask(fixture, 0x27f, 1, NULL), COMPLETER_DONE);
	CHECK_EQUAL(ask(fixture, 0x280, 1, NULL), COMPLETER_OUTSIDE);
	CHECK_EQUAL(ask(fixture, 0x280, 0, NULL), COMPLETER_OUTSIDE);
	CHECK_EQUAL(ask(fixture, SIZE - 4, 8, NULL), COMPLETER_ABSENT);
	check_refusal(fixture, TLP_UNSUPPORTED_REQUEST, 8);
}

static void refuses_everything(void)
{
	struct fixture *fixture = set_up(256, 64);

	fixture->completer.refusal = TLP_COMPLETER_ABORT;
	CHECK_EQUAL(ask(fixture, 0x1000, 4096, NULL), COMPLETER_DONE);
	check_refusal(fixture, TLP_COMPLETER_ABORT, 4096);
	CHECK_EQUAL(ask(fixture, SIZE, 4, NULL), COMPLETER_OUTSIDE);
	check_refusal(fixture, TLP_COMPLETER_ABORT, 4);
}

static void ignores_what_crosses_a_page(void)
{
	struct fixture *fixture = set_up(256, 64);

	CHECK_EQUAL(ask(fixture, 0x1fff, 2, NULL), COMPLETER_MALFORMED);
	CHECK_EQUAL(fixture->out.count, 0);
	CHECK_EQUAL(ask(fixture, 0x1001, 4096, NULL), COMPLETER_MALFORMED);
	CHECK_EQUAL(ask(fixture, UINT64_MAX, 2, NULL), COMPLETER_MALFORMED);
}

/* --- faults */

static void draws_the_same_from_a_seed(void)
{
	const struct kioku_serve_options options = { .seed = 42, .latency = 5, .jitter = 1000 };
	const struct kioku_serve_options others = { .seed = 43, .latency = 5, .jitter = 1000 };
	struct faults one, same, other;
	unsigned happened = 0, differed = 0;
	bool is_late;

	faults_init(&one, &options);
	faults_init(&same, &options);
	faults_init(&other, &others);
	for (unsigned i = 0; i < 10000; i++) {
		bool happens = faults_happen(&one, 10);
		CHECK_EQUAL(faults_happen(&same, 10), happens);
		differed += faults_happen(&other, 10) != happens;
		happened += happens;
		uint64_t delay = faults_delay(&one, &is_late);
		CHECK(delay >= 5 && delay <= 1005 && !is_late);
		CHECK_EQUAL(faults_delay(&same, &is_late), delay);
		CHECK(!faults_happen(&other, 0) && faults_happen(&other, 100));
	}
	CHECK(happened > 900 && happened < 1100 && differed > 1000);
}

static void lets_requests_fail(void)
{
	const struct {
		unsigned kind;
		uint8_t status;
	} kinds[] = {
		{ KIOKU_SERVE_ERROR_UNSUPPORTED, TLP_UNSUPPORTED_REQUEST },
		{ KIOKU_SERVE_ERROR_ABORT, TLP_COMPLETER_ABORT },
		{ KIOKU_SERVE_ERROR_RETRY, TLP_CONFIGURATION_RETRY },
	};
	struct fixture *fixture = set_up(256, 64);

	for (size_t i = 0; i < 3; i++) {
		const struct kioku_serve_options options = { .errors = kinds[i].kind };
		struct faults faults;
		unsigned ends = 0;
		faults_init(&faults, &options);
		for (unsigned turn = 0; turn < 200; turn++) {
			ask(fixture, 0x1000, 1024, NULL);
			faults_fail(&faults, &fixture->out);
			CHECK(fixture->out.count >= 1 && fixture->out.count <= 4);
			const struct tlp_completion *last =
				&fixture->out.list[fixture->out.count - 1];
			CHECK(last->status == kinds[i].status && last->data.size == 0);
			ends |= 1u << fixture->out.count;
		}
		CHECK_EQUAL(ends, 0x1e);
	}
}

static void poisons(void)
{
	const struct kioku_serve_options options = { .errors = KIOKU_SERVE_ERROR_POISON };
	struct fixture *fixture = set_up(256, 64);
	struct faults faults;
	size_t poisoned = 0;

	faults_init(&faults, &options);
	ask(fixture, 0x1000, 1024, NULL);
	faults_fail(&faults, &fixture->out);
	CHECK_EQUAL(fixture->out.count, 4);
	for (size_t i = 0; i < 4; i++) {
		const struct tlp_completion *completion = &fixture->out.list[i];
		bool is_wrong =
			memcmp(completion->data.data, fixture->data + 0x1000 + 256 * i, 256) != 0;
		CHECK(completion->status == TLP_SUCCESSFUL && completion->is_poisoned == is_wrong);
		poisoned += is_wrong;
	}
	CHECK_EQUAL(poisoned, 1);
	ask(fixture, SIZE, 4, NULL); /* nothing to poison */
	faults_fail(&faults, &fixture->out);
	check_refusal(fixture, TLP_UNSUPPORTED_REQUEST, 4);
}

/* Each kind changes its own field, always, and no other. */
static void spoils_one_field(void)
{
	static const struct {
		unsigned kind;
		size_t first, count;
	} fields[] = {
		{ KIOKU_SERVE_CORRUPT_TYPE, 0, 1 },      { KIOKU_SERVE_CORRUPT_LENGTH, 2, 2 },
		{ KIOKU_SERVE_CORRUPT_STATUS, 6, 1 },    { KIOKU_SERVE_CORRUPT_COUNT, 6, 2 },
		{ KIOKU_SERVE_CORRUPT_REQUESTER, 8, 2 }, { KIOKU_SERVE_CORRUPT_TAG, 10, 1 },
		{ KIOKU_SERVE_CORRUPT_ADDRESS, 11, 1 },
	};
	const uint8_t good[16] = { 0x4a, 0, 0, 1, 0, 0, 0, 4, 1, 0, 7, 0x40 };

	for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
		const struct kioku_serve_options options = { .corruptions = fields[i].kind };
		struct faults faults;
		faults_init(&faults, &options);
		for (unsigned turn = 0; turn < 500; turn++) {
			uint8_t tlp[16];
			size_t first = fields[i].first, end = first + fields[i].count;
			memcpy(tlp, good, sizeof(good));
			CHECK_EQUAL(faults_corrupt(&faults, tlp, sizeof(tlp)), sizeof(tlp));
			CHECK(memcmp(tlp, good, first) == 0);
			CHECK(memcmp(tlp + first, good + first, end - first) != 0);
			CHECK(memcmp(tlp + end, good + end, sizeof(tlp) - end) == 0);
		}
	}
	const struct kioku_serve_options options = { .corruptions = KIOKU_SERVE_CORRUPT_SHORT };
	struct faults faults;
	uint8_t tlp[16];
	faults_init(&faults, &options);
	for (unsigned turn = 0; turn < 500; turn++)
		CHECK(faults_corrupt(&faults, memcpy(tlp, good, 16), 16) < 16);
}

TAP_MAIN(TEST(answers_every_read), TEST(splits_wherever_it_may),
	 TEST(needs_one_where_one_is_enough), TEST(zeros_what_was_not_asked_for),
	 TEST(answers_reads_of_nothing), TEST(refuses_what_is_no_ram), TEST(refuses_everything),
	 TEST(ignores_what_crosses_a_page), TEST(draws_the_same_from_a_seed),
	 TEST(lets_requests_fail), TEST(poisons), TEST(spoils_one_field))

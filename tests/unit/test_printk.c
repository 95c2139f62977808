/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The kernel's log in both layouts, whole, wrapped around and damaged. */
#include "kernel/printk.h"
#include "test_kernel.h"

#define RING  (MADE_BASE + 0x100000)
#define DESCS (MADE_BASE + 0x110000)
#define INFOS (MADE_BASE + 0x120000)
#define TEXT  (MADE_BASE + 0x130000)

enum { COUNT_BITS = 2, SIZE_BITS = 7 };

static const char layout[] =
	"struct prb_data_blk_lpos 16 begin u64@0 next u64@8\n"
	"struct prb_desc 24 state_var u64@0 text_blk_lpos prb_data_blk_lpos@8\n"
	"struct dev_printk_info 64 subsystem char[16]@0 device char[48]@16\n"
	"struct printk_info 88 seq u64@0 ts_nsec u64@8 text_len u16@16 facility u8@18 flags "
	"u8:5@152 level u8:3@157 "
	"caller_id u32@20 dev_info dev_printk_info@24\n"
	"struct prb_desc_ring 48 count_bits u32@0 descs u64@8 infos u64@16 head_id u64@24 tail_id "
	"u64@32\n"
	"struct prb_data_ring 32 size_bits u32@0 data u64@8\n"
	"struct printk_ringbuffer 96 desc_ring prb_desc_ring@0 text_data_ring prb_data_ring@48 "
	"fail u64@88\n"
	"struct printk_log 16 ts_nsec u64@0 len u16@8 text_len u16@10 facility u8@14 flags "
	"u8:5@120 level u8:3@125\n";

struct given {
	struct {
		uint64_t sequence, time;
		unsigned level, facility;
		char text[64];
	} entries[32];
	size_t count;
};

static enum kioku_status take(void *user, const struct printk_entry *entry)
{
	struct given *given = user;

	CHECK(given->count < 32 && entry->size < 64);
	given->entries[given->count].sequence = entry->sequence;
	given->entries[given->count].time = entry->time;
	given->entries[given->count].level = entry->level;
	given->entries[given->count].facility = entry->facility;
	memcpy(given->entries[given->count].text, entry->text, entry->size);
	given->entries[given->count++].text[entry->size] = '\0';
	return KIOKU_OK;
}

static enum kioku_status read_log(struct made *made, struct given *given)
{
	*given = (struct given){ .count = 0 };
	made->gaps = 0;
	return printk_each(&made->kernel, take, given, NULL);
}

static uint64_t descriptor(uint64_t id)
{
	return DESCS + 24 * (id % (1 << COUNT_BITS));
}

/* A record whose text block begins at a logical position; returns where the next one may. */
static uint64_t put_record(struct made *made, uint64_t id, uint64_t begin, const char *text)
{
	uint64_t info = INFOS + 88 * (id % (1 << COUNT_BITS));
	uint64_t room = 1 << SIZE_BITS, size = (8 + strlen(text) + 7) & ~7ull;
	uint64_t at = begin & (room - 1);

	made_set(made, descriptor(id), "prb_desc", "state_var", 2ull << 62 | id);
	made_set(made, descriptor(id), "prb_desc", "text_blk_lpos.begin", begin);
	if (at + size > room) {
		at = 0;
		begin = (begin | (room - 1)) + 1;
	}
	made_set(made, descriptor(id), "prb_desc", "text_blk_lpos.next", begin + size);
	made_put(made, TEXT + at, 8, id);
	made_text(made, TEXT + at + 8, text);
	made_set(made, info, "printk_info", "seq", id + 100);
	made_set(made, info, "printk_info", "ts_nsec", id * 1000);
	made_set(made, info, "printk_info", "text_len", strlen(text));
	made_set(made, info, "printk_info", "level", id % 8);
	return begin + size;
}

/* Records 3 to 6, the third of which is whole at the start of the text because it did not fit the end. */
static void make_ring(struct made *made)
{
	made_open(made, layout);
	made_set(made, RING, "printk_ringbuffer", "desc_ring.count_bits", COUNT_BITS);
	made_set(made, RING, "printk_ringbuffer", "desc_ring.descs", DESCS);
	made_set(made, RING, "printk_ringbuffer", "desc_ring.infos", INFOS);
	made_set(made, RING, "printk_ringbuffer", "desc_ring.tail_id", 3);
	made_set(made, RING, "printk_ringbuffer", "desc_ring.head_id", 6);
	made_set(made, RING, "printk_ringbuffer", "text_data_ring.size_bits", SIZE_BITS);
	made_set(made, RING, "printk_ringbuffer", "text_data_ring.data", TEXT);
	made_variable(made, "prb", RING);
	uint64_t at = put_record(made, 3, 48, "the first");
	at = put_record(made, 4, at, "the second, up to the end..");
	at = put_record(made, 5, at, "the third, wrapped");
	put_record(made, 6, at, "");
}

static void reads_the_ring(void)
{
	struct given given;
	struct made made;

	make_ring(&made);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 0);
	CHECK_EQUAL(given.count, 4);
	CHECK(strcmp(given.entries[0].text, "the first") == 0);
	CHECK(strcmp(given.entries[2].text, "the third, wrapped") == 0);
	CHECK(given.entries[3].sequence == 106 && given.entries[3].level == 6 &&
	      given.entries[3].time == 6000 && given.entries[3].text[0] == '\0');
	made_close(&made);
}

static void loses_what_is_not_whole(void)
{
	struct given given;
	struct made made;

	make_ring(&made);
	/* Overwritten, being written, and given up: only the last is no gap. */
	made_put(&made, TEXT + 48, 8, 99);
	made_set(&made, descriptor(4), "prb_desc", "state_var", 4);
	made_set(&made, descriptor(5), "prb_desc", "state_var", 3ull << 62 | 5);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 2);
	CHECK_EQUAL(given.count, 1);
	made_close(&made);
	/* Positions that cannot be. */
	make_ring(&made);
	made_set(&made, descriptor(3), "prb_desc", "text_blk_lpos.next", 1 << 20);
	made_set(&made, descriptor(4), "prb_desc", "text_blk_lpos.next", 0);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 2);
	CHECK_EQUAL(given.count, 2);
	made_close(&made);
}

static void refuses_an_absurd_ring(void)
{
	struct given given;
	struct made made;

	make_ring(&made);
	made_set(&made, RING, "printk_ringbuffer", "desc_ring.count_bits", 60);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_ERROR_CORRUPT);
	made_set(&made, RING, "printk_ringbuffer", "desc_ring.count_bits", COUNT_BITS);
	made_set(&made, RING, "printk_ringbuffer", "desc_ring.head_id", 1ull << 40);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_ERROR_CORRUPT);
	made_close(&made);
}

/* --- the older buffer */

static uint64_t put_log(struct made *made, uint64_t at, const char *text)
{
	uint64_t size = (16 + strlen(text) + 3) & ~3ull;

	made_set(made, at, "printk_log", "ts_nsec", at - TEXT);
	made_set(made, at, "printk_log", "len", size);
	made_set(made, at, "printk_log", "text_len", strlen(text));
	made_set(made, at, "printk_log", "facility", 3);
	made_set(made, at, "printk_log", "level", 5);
	made_text(made, at + 16, text);
	return at + size;
}

/* 256 bytes, the oldest record at 128; the last one is at the start. */
static void make_buffer(struct made *made)
{
	made_open(made, layout);
	made_variable(made, "log_buf", TEXT);
	made_variable(made, "log_buf_len", 256);
	made_variable(made, "log_first_idx", 128);
	made_variable(made, "log_first_seq", 7);
	made_variable(made, "log_next_seq", 10);
	put_log(made, put_log(made, TEXT + 128, "one"), "two");
	put_log(made, TEXT, "three");
}

static void reads_the_older_buffer(void)
{
	struct given given;
	struct made made;

	make_buffer(&made);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_OK);
	CHECK_EQUAL(made.gaps, 0);
	CHECK_EQUAL(given.count, 3);
	CHECK(strcmp(given.entries[0].text, "one") == 0 && given.entries[0].sequence == 7);
	CHECK(given.entries[0].level == 5 && given.entries[0].facility == 3);
	CHECK(strcmp(given.entries[2].text, "three") == 0 && given.entries[2].sequence == 9);
	made_close(&made);
}

static void survives_a_damaged_buffer(void)
{
	struct given given;
	struct made made;

	make_buffer(&made);
	made_set(&made, TEXT, "printk_log", "len", 8); /* less than its own head */
	CHECK_EQUAL(read_log(&made, &given), KIOKU_OK);
	CHECK(made.gaps == 1 && given.count == 2);
	made_set(&made, TEXT, "printk_log", "len", 0);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_OK);
	CHECK(made.gaps == 1 && given.count == 2);
	made_close(&made);
	/* More records than there is room for: round and round. */
	make_buffer(&made);
	made_put(&made, MADE_VARIABLES + 8 * 4, 8, UINT64_MAX);
	put_log(&made, put_log(&made, TEXT + 20 + 4, "four"), "five");
	CHECK_EQUAL(read_log(&made, &given), KIOKU_OK);
	CHECK(made.gaps == 1 && given.count < 32);
	made_close(&made);
}

static void wants_a_log(void)
{
	struct given given;
	struct made made;

	made_open(&made, layout);
	made_variable(&made, "other", 0);
	CHECK_EQUAL(read_log(&made, &given), KIOKU_ERROR_UNSUPPORTED);
	made_close(&made);
}

TAP_MAIN(TEST(reads_the_ring), TEST(loses_what_is_not_whole), TEST(refuses_an_absurd_ring),
	 TEST(reads_the_older_buffer), TEST(survives_a_damaged_buffer), TEST(wants_a_log))

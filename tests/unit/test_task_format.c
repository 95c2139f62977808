/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* /proc/PID/stat and status as kernels print them. */
#include "base/scan.h"
#include "format/task_format.h"
#include "tap.h"

static void decodes_stat(void)
{
	struct task_stat stat;

	CHECK(task_stat_decode(
		bytes_of_text(
			"1311 (cat) R 1309 1310 13792 0 -1 4194304 101 0 0 0 12 13 0 0 -51 -5 3 "
			"0 1776478 3133440 380 18446744073709551615 94519050235904 1 2 0 0 0 "
			"0 0 0 0 0 0 17 7 50 1 0 0 0 1 2 3 4 5 6 7 0\n"),
		&stat));
	CHECK_EQUAL(stat.pid, 1311);
	CHECK(bytes_equal(stat.name, bytes_of_text("cat")));
	CHECK_EQUAL(stat.state, 'R');
	CHECK(stat.parent == 1309 && stat.group == 1310 && stat.session == 13792);
	CHECK_EQUAL(stat.flags, 4194304);
	CHECK(stat.user_time == 12 && stat.system_time == 13);
	CHECK(stat.priority == -51 && stat.nice == -5 && stat.threads == 3);
	CHECK_EQUAL(stat.start_time, 1776478);
	CHECK(stat.processor == 7 && stat.realtime_priority == 50 && stat.policy == 1);
}

static void is_not_deceived_by_a_name(void)
{
	struct task_stat stat;

	CHECK(task_stat_decode(bytes_of_text(
				       "7 (a) R 1 (\n) S 2 7 7 0 -1 64 1 2 3 4 5 6 7 8 20 0 9 "
				       "0 100 3133440 380 1 1 2 3 0 0 0 0 0 0 0 0 0 17 1 0 0"),
			       &stat));
	CHECK(bytes_equal(stat.name, bytes_of_text("a) R 1 (\n")));
	CHECK(stat.state == 'S' && stat.parent == 2);
	CHECK(!task_stat_decode(bytes_of_text("7 (a R 1 2 3"), &stat));
	CHECK(!task_stat_decode(bytes_of_text("7 (a) R 1 2 3"), &stat));
	CHECK(!task_stat_decode(bytes_of_text(""), &stat));
	CHECK(!task_stat_decode(bytes_of_text(")7 (a"), &stat));
}

static void finds_in_status(void)
{
	struct bytes text = bytes_of_text("Name:\tx\\nUid:\t7\n"
					  "Uid:\t0\t1\t2\t4294967295\n"
					  "Groups:\t4 24 \n"
					  "NSpid:\t1311\t2\n"
					  "CapEff:\t000001fffeffffff\n");
	struct bytes value;
	uint64_t numbers[4], bits;

	CHECK(task_status_find(text, "Groups", &value) &&
	      bytes_equal(value, bytes_of_text("4 24")));
	CHECK_EQUAL(task_status_numbers(text, "Uid", numbers, 4), 4);
	CHECK(numbers[0] == 0 && numbers[2] == 2 && numbers[3] == UINT32_MAX);
	CHECK_EQUAL(task_status_numbers(text, "NSpid", numbers, 4), 2);
	CHECK(numbers[1] == 2 && numbers[2] == 0);
	CHECK_EQUAL(task_status_numbers(text, "NSpi", numbers, 4), 0);
	CHECK(task_status_bits(text, "CapEff", &bits));
	CHECK_EQUAL(bits, 0x1fffeffffff);
	CHECK(!task_status_bits(text, "Groups", &bits) && !task_status_bits(text, "Cap", &bits));
}

static void tells_words_of_auxv(void)
{
	static const uint8_t wide[] = { 33, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 0xff, 0x7f, 0, 0, 0, 0,
					6,  0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0,    0,    0, 0, 0, 0,
					0,  0, 0, 0, 0, 0, 0, 0, 0, 0,    0,    0,    0, 0, 0, 0 };
	static const uint8_t narrow[] = { 32, 0,    0, 0, 0x50, 0xd5, 0xf7, 0xf7, 6, 0, 0, 0,
					  0,  0x10, 0, 0, 0,    0,    0,    0,    0, 0, 0, 0 };

	CHECK_EQUAL(auxv_word_size((struct bytes){ wide, sizeof(wide) }), 8);
	CHECK_EQUAL(auxv_word_size((struct bytes){ narrow, sizeof(narrow) }), 4);
	CHECK_EQUAL(auxv_word_size((struct bytes){ narrow, 16 }), 0);
	CHECK_EQUAL(auxv_word_size((struct bytes){ NULL, 0 }), 0);
}

TAP_MAIN(TEST(decodes_stat), TEST(is_not_deceived_by_a_name), TEST(finds_in_status),
	 TEST(tells_words_of_auxv))

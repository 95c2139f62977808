/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Packets of GDB's remote protocol. */
#include "format/rsp_format.h"
#include "tap.h"

static uint8_t out[64];
static size_t used, size;

static struct bytes bytes_of(const char *text)
{
	return (struct bytes){ (const uint8_t *)text, strlen(text) };
}

static enum rsp_kind decode(const char *text)
{
	return rsp_decode(bytes_of(text), out, sizeof(out), &used, &size);
}

#define CHECK_DATA(text)                                         \
	do {                                                     \
		CHECK_EQUAL(size, sizeof(text) - 1);             \
		CHECK(memcmp(out, text, sizeof(text) - 1) == 0); \
	} while (0)

static void takes_packets(void)
{
	CHECK_EQUAL(decode("$OK#9a$"), RSP_PACKET);
	CHECK_EQUAL(used, 6);
	CHECK_DATA("OK");
	CHECK_EQUAL(decode("$#00"), RSP_PACKET);
	CHECK_EQUAL(size, 0);
	CHECK_EQUAL(decode("$OK#9A"), RSP_PACKET);
}

static void takes_what_is_in_between(void)
{
	CHECK_EQUAL(decode("+$OK#9a"), RSP_ACCEPTED);
	CHECK_EQUAL(used, 1);
	CHECK_EQUAL(decode("-"), RSP_REFUSED);
	CHECK_EQUAL(decode("QEMU#00$"), RSP_NOISE);
	CHECK_EQUAL(used, 7);
}

static void waits_for_more(void)
{
	static const char whole[] = "$OK#9a";

	for (size_t i = 0; i < sizeof(whole) - 1; i++) {
		struct bytes part = { (const uint8_t *)whole, i };
		CHECK_EQUAL(rsp_decode(part, out, sizeof(out), &used, &size), RSP_INCOMPLETE);
		CHECK_EQUAL(used, 0);
	}
}

/* The examples of GDB's manual: "0* " is "0000", "*~" repeats 97 times. */
static void resolves_runs_and_escapes(void)
{
	CHECK_EQUAL(decode("$0* #7a"), RSP_PACKET);
	CHECK_DATA("0000");
	CHECK_EQUAL(decode("$a}\x03}]#bb"), RSP_PACKET);
	CHECK_DATA("a#}");
	CHECK_EQUAL(decode("$0*~#d8"), RSP_TOO_LONG);
	CHECK_EQUAL(used, 7);
}

static void refuses_damage(void)
{
	CHECK_EQUAL(decode("$OK#9b"), RSP_DAMAGED);
	CHECK_EQUAL(used, 6);
	CHECK_EQUAL(decode("$OK#zz"), RSP_DAMAGED);
	CHECK_EQUAL(decode("$*~#a8"), RSP_DAMAGED);
	CHECK_EQUAL(decode("$a}#de"), RSP_DAMAGED);
	CHECK_EQUAL(decode("$a*#8b"), RSP_DAMAGED);
	CHECK_EQUAL(decode("$a*\x1f#aa"), RSP_DAMAGED);
}

/* An end that never comes is seen before memory is full of what came instead. */
static void bounds_what_it_waits_for(void)
{
	char text[3 * sizeof(out)] = "$";

	memset(text + 1, 'x', sizeof(text) - 2);
	CHECK_EQUAL(decode(text), RSP_TOO_LONG);
	text[sizeof(out) + 2] = '\0';
	CHECK_EQUAL(decode(text), RSP_INCOMPLETE);
}

static void encodes(void)
{
	uint8_t packet[RSP_ENCODED_SIZE(4)];
	struct bytes stream = { packet, rsp_encode(bytes_of("OK"), packet) };

	CHECK(bytes_match(stream, 0, "$OK#9a"));
	stream.size = rsp_encode(bytes_of("$#}*"), packet);
	CHECK_EQUAL(stream.size, sizeof(packet));
	CHECK_EQUAL(rsp_decode(stream, out, sizeof(out), &used, &size), RSP_PACKET);
	CHECK_DATA("$#}*");
}

static void converts_hexadecimal(void)
{
	uint8_t digits[8];

	rsp_to_hex("\x01\xab\xff", 3, digits);
	CHECK(memcmp(digits, "01abff", 6) == 0);
	CHECK(rsp_from_hex(bytes_of("01ABff"), out, 3, &size));
	CHECK_DATA("\x01\xab\xff");
	CHECK(!rsp_from_hex(bytes_of("01abff"), out, 2, &size));
	CHECK(!rsp_from_hex(bytes_of("01a"), out, 3, &size));
	CHECK(!rsp_from_hex(bytes_of("0x"), out, 3, &size));
}

static void reads_answers(void)
{
	uint64_t value = 0;

	CHECK(rsp_packet_size(bytes_of("PacketSize=1000;qXfer:features:read+"), &value));
	CHECK_EQUAL(value, 0x1000);
	CHECK(rsp_packet_size(bytes_of("a+;PacketSize=3fff"), &value));
	CHECK_EQUAL(value, 0x3fff);
	CHECK(!rsp_packet_size(bytes_of("XPacketSize=1;PacketSize="), &value));
	CHECK(!rsp_packet_size(bytes_of("PacketSize=10000000000000000"), &value));
	CHECK(!rsp_packet_size(bytes_of("PacketSize=1 "), &value));
	CHECK(rsp_is_stop(bytes_of("T02thread:01;")) && rsp_is_stop(bytes_of("S05")));
	CHECK(!rsp_is_stop(bytes_of("0123")) && !rsp_is_stop(bytes_of("OK")));
	CHECK(rsp_is_error(bytes_of("E22")) && rsp_is_error(bytes_of("E.no such thing")));
	CHECK(!rsp_is_error(bytes_of("E2")) && !rsp_is_error(bytes_of("E200")));
}

TAP_MAIN(TEST(takes_packets), TEST(takes_what_is_in_between), TEST(waits_for_more),
	 TEST(resolves_runs_and_escapes), TEST(refuses_damage), TEST(bounds_what_it_waits_for),
	 TEST(encodes), TEST(converts_hexadecimal), TEST(reads_answers))

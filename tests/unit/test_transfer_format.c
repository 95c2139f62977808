/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages of docs/transfer.md. */
#include "format/transfer_format.h"
#include "tap.h"

static uint8_t buffer[TRANSFER_MESSAGE_LIMIT + 1];

/* The status of decoding what is in the buffer. */
static enum kioku_status decode(size_t size, struct transfer_message *message)
{
	enum transfer_type type;
	uint32_t payload;

	if (transfer_header_decode(buffer, &type, &payload, NULL) != KIOKU_OK)
		return KIOKU_ERROR_CORRUPT;
	CHECK_EQUAL(payload + TRANSFER_HEADER_SIZE, size);
	/* A copy of just that size, so that a sanitizer sees a byte too many. */
	static uint8_t *copy;
	free(copy);
	copy = malloc(payload);
	memcpy(copy, buffer + TRANSFER_HEADER_SIZE, payload);
	return transfer_decode(type, (struct bytes){ copy, payload }, message, NULL);
}

static void is_laid_out_as_documented(void)
{
	static const uint8_t expected[] = {
		19, 0, 0, 0, 48, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1,
	};
	struct transfer_message message = {
		.type = TRANSFER_CLOSE,
		.file = 7,
		.flags = TRANSFER_COMPARE,
		.size = 0x102030405060708,
	};

	memset(message.sha256, 0xab, sizeof(message.sha256));
	CHECK_EQUAL(transfer_encode(&message, buffer), 56);
	CHECK(memcmp(buffer, expected, sizeof(expected)) == 0);
	CHECK_EQUAL(buffer[24], 0xab);
	CHECK_EQUAL(buffer[55], 0xab);
}

static void every_message_comes_back(void)
{
	static const uint32_t sizes[] = {
		[TRANSFER_HELLO] = 80 + 6 + 4 + 10 + 11,
		[TRANSFER_RESUME] = 56,
		[TRANSFER_CREATE] = 10 + 10,
		[TRANSFER_HOLE] = 24,
		[TRANSFER_CLOSE] = 48,
		[TRANSFER_REPLACE] = 4 + 10 + 2,
		[TRANSFER_REMOVE] = 2 + 10,
		[TRANSFER_END] = 16,
		[TRANSFER_WELCOME] = 18 + 6,
		[TRANSFER_ACK] = 8,
		[TRANSFER_DIGEST] = 56,
		[TRANSFER_DONE] = 2 + 6,
		[TRANSFER_REFUSED] = 10 + 6,
	};

	for (uint32_t type = 0; type < sizeof(sizes) / sizeof(*sizes); type++) {
		if (sizes[type] == 0)
			continue;
		struct transfer_message back, message = {
			.type = type,
			.version = 1,
			.file = 3,
			.code = 5,
			.offset = 1ull << 40,
			.size = 9,
			.position = 1ull << 50,
			.expected = 77,
			.lost = 1ull << 33,
			.host = bytes_of_text("host"),
			.name = bytes_of_text("image.lime"),
			.tool = bytes_of_text("kioku 1.2.3"),
			.to = bytes_of_text("to"),
			.folder = bytes_of_text("folder"),
			.reason = bytes_of_text("reason"),
		};
		size_t size = transfer_encode(&message, buffer);
		CHECK_EQUAL(size, TRANSFER_HEADER_SIZE + sizes[type]);
		CHECK_EQUAL(decode(size, &back), KIOKU_OK);
		CHECK_EQUAL(back.type, type);
		uint8_t first[2048];
		memcpy(first, buffer, size);
		CHECK_EQUAL(transfer_encode(&back, buffer), size);
		CHECK(memcmp(first, buffer, size) == 0);
		if (type == TRANSFER_HELLO) {
			CHECK(bytes_equal(back.name, bytes_of_text("image.lime")));
			CHECK(bytes_equal(back.tool, bytes_of_text("kioku 1.2.3")));
			CHECK_EQUAL(back.expected, 77);
		}
	}
}

static void data_follows_a_write(void)
{
	struct transfer_message back, message = {
		.type = TRANSFER_WRITE,
		.file = 1,
		.offset = 5,
		.data = { NULL, TRANSFER_DATA_LIMIT },
	};

	CHECK_EQUAL(transfer_encode(&message, buffer), TRANSFER_WRITE_SIZE);
	buffer[TRANSFER_WRITE_SIZE] = 'x';
	CHECK_EQUAL(decode(TRANSFER_WRITE_SIZE + TRANSFER_DATA_LIMIT, &back), KIOKU_OK);
	CHECK_EQUAL(back.data.size, TRANSFER_DATA_LIMIT);
	CHECK_EQUAL(back.data.data[0], 'x');
	message.data.size++;
	CHECK_EQUAL(transfer_encode(&message, buffer), 0);
	message.data.size = 0; /* nobody says nothing */
	CHECK_EQUAL(transfer_encode(&message, buffer), TRANSFER_WRITE_SIZE);
	CHECK_EQUAL(decode(TRANSFER_WRITE_SIZE, &back), KIOKU_ERROR_CORRUPT);
}

static void refuses_what_it_does_not_know(void)
{
	struct kioku_error error;
	enum transfer_type type;
	uint32_t size;
	uint8_t header[TRANSFER_HEADER_SIZE] = { 5 };

	CHECK_EQUAL(transfer_header_decode(header, &type, &size, &error), KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "no message of type 5");
	header[0] = TRANSFER_ACK;
	header[4] = 9;
	CHECK_EQUAL(transfer_header_decode(header, &type, &size, &error), KIOKU_ERROR_CORRUPT);
	header[4] = 8;
	CHECK_EQUAL(transfer_header_decode(header, &type, &size, &error), KIOKU_OK);
	header[0] = TRANSFER_WRITE;
	memset(header + 4, 0xff, 4);
	CHECK_EQUAL(transfer_header_decode(header, &type, &size, &error), KIOKU_ERROR_CORRUPT);
	CHECK_SAYS(error.message, "4294967295");
}

/* Each is good but for one thing. */
static void refuses_bad_payloads(void)
{
	static const struct transfer_message bad[] = {
		{ .type = TRANSFER_HOLE, .offset = 1, .size = INT64_MAX },
		{ .type = TRANSFER_HOLE, .offset = UINT64_MAX, .size = 2 },
		{ .type = TRANSFER_HOLE, .offset = 1 },
		{ .type = TRANSFER_CLOSE, .size = UINT64_MAX },
		{ .type = TRANSFER_CREATE, .flags = 2 },
		{ .type = TRANSFER_CLOSE, .flags = 4 },
		{ .type = TRANSFER_END, .flags = 2 },
		{ .type = TRANSFER_WRITE, .flags = 1, .data = { NULL, 1 } },
		{ .type = TRANSFER_REMOVE, .name = { (const uint8_t *)"a\0b", 3 } },
		{ .type = TRANSFER_WELCOME, .version = 1, .flags = 1 },
	};
	struct transfer_message message;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		size_t size = transfer_encode(&bad[i], buffer) + bad[i].data.size;
		CHECK_EQUAL(decode(size, &message), KIOKU_ERROR_CORRUPT);
	}
	message = (struct transfer_message){ .type = TRANSFER_DIGEST };
	size_t size = transfer_encode(&message, buffer);
	buffer[TRANSFER_HEADER_SIZE + 4] = 1; /* the word that must be 0 */
	CHECK_EQUAL(decode(size, &message), KIOKU_ERROR_CORRUPT);
}

static void refuses_every_truncation_and_addition(void)
{
	struct transfer_message out, message = { .type = TRANSFER_HELLO,
						 .version = 1,
						 .host = bytes_of_text("h"),
						 .name = bytes_of_text("n"),
						 .tool = bytes_of_text("t") };
	size_t size = transfer_encode(&message, buffer);

	for (uint32_t payload = 0; payload < size + 9; payload++) {
		store_le32(buffer + 4, payload);
		CHECK_EQUAL(decode(payload + TRANSFER_HEADER_SIZE, &out),
			    payload + TRANSFER_HEADER_SIZE == size ? KIOKU_OK
								   : KIOKU_ERROR_CORRUPT);
	}
}

static void another_version_is_decoded_that_far(void)
{
	struct transfer_message message = { .type = TRANSFER_RESUME, .version = 2, .flags = 99 };
	size_t size = transfer_encode(&message, buffer);

	store_le32(buffer + 4, (uint32_t)size - TRANSFER_HEADER_SIZE + 100);
	CHECK_EQUAL(decode(size + 100, &message), KIOKU_OK);
	CHECK_EQUAL(message.version, 2);
	CHECK_EQUAL(message.flags, 0);
}

static void texts_are_limited(void)
{
	static uint8_t letters[TRANSFER_TEXT_LIMIT + 1];
	struct transfer_message back,
		message = { .type = TRANSFER_DONE, .folder = { letters, TRANSFER_TEXT_LIMIT } };

	memset(letters, 'x', sizeof(letters));
	size_t size = transfer_encode(&message, buffer);
	CHECK_EQUAL(size, TRANSFER_HEADER_SIZE + 2 + TRANSFER_TEXT_LIMIT);
	CHECK_EQUAL(decode(size, &back), KIOKU_OK);
	message.folder.size++;
	CHECK_EQUAL(transfer_encode(&message, buffer), 0);
}

static void names_stay_in_their_folder(void)
{
	static const char *const good[] = { "a", "image.lime", "0.raw", "a..b", "A_b-c.lime.zst" };
	static const char *const bad[] = { "",     ".",   "..",       ".image", "-o",
					   "_x",   "a/b", "/a",       "../a",   "a b",
					   "a\\b", "a\n", "\xc3\xa4", "a:b",    "a%2fb" };
	static const char *const beside[] = { "i.lime", "i.lime.sha256", "i.lime..x" };
	static const char *const not_beside[] = { "i.lim", "i.limes", "i.lime/.x", "j.lime",
						  "i.lime-x" };
	char longest[TRANSFER_NAME_LIMIT + 2];

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		CHECK(transfer_name_is_valid(bytes_of_text(good[i]), NULL));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK(!transfer_name_is_valid(bytes_of_text(bad[i]), NULL));
	for (size_t i = 0; i < sizeof(beside) / sizeof(*beside); i++)
		CHECK(transfer_name_is_valid(bytes_of_text(beside[i]), "i.lime"));
	for (size_t i = 0; i < sizeof(not_beside) / sizeof(*not_beside); i++)
		CHECK(!transfer_name_is_valid(bytes_of_text(not_beside[i]), "i.lime"));
	memset(longest, 'x', sizeof(longest));
	longest[TRANSFER_NAME_LIMIT] = '\0';
	CHECK(transfer_name_is_valid(bytes_of_text(longest), NULL));
	CHECK(!transfer_name_is_valid((struct bytes){ (uint8_t *)longest, TRANSFER_NAME_LIMIT + 1 },
				      NULL));
}

static void only_the_stream_counts(void)
{
	CHECK(!transfer_is_stream(TRANSFER_HELLO));
	CHECK(!transfer_is_stream(TRANSFER_PING));
	CHECK(!transfer_is_stream(TRANSFER_BYE));
	CHECK(transfer_is_stream(TRANSFER_CREATE));
	CHECK(transfer_is_stream(TRANSFER_END));
	CHECK(!transfer_is_stream(TRANSFER_WELCOME));
}

TAP_MAIN(TEST(is_laid_out_as_documented), TEST(every_message_comes_back),
	 TEST(data_follows_a_write), TEST(refuses_what_it_does_not_know),
	 TEST(refuses_bad_payloads), TEST(refuses_every_truncation_and_addition),
	 TEST(another_version_is_decoded_that_far), TEST(texts_are_limited),
	 TEST(names_stay_in_their_folder), TEST(only_the_stream_counts))

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The sender's session: what arrives is what was sent, whatever becomes of its connections. */
#include "test_link.h"

#define SIZE_OF(array) (sizeof(array) / sizeof(*(array)))

#define REFUSAL(after, number, text)                                                 \
	{                                                                            \
		.spoil = REFUSING, .at = (after), .code = TRANSFER_REFUSED_##number, \
		.reason = (text)                                                     \
	}

static struct peer peer;

struct told {
	pthread_mutex_t lock;
	unsigned warnings, notes;
	char last_warning[512], last_note[512];
};

static struct told told;

static void hear_diagnostic(void *user, enum kioku_severity severity, const char *message)
{
	struct told *to = user;

	pthread_mutex_lock(&to->lock);
	if (severity == KIOKU_WARNING)
		snprintf(to->last_warning, sizeof(to->last_warning), "%u %s", ++to->warnings,
			 message);
	else
		snprintf(to->last_note, sizeof(to->last_note), "%u %s", ++to->notes, message);
	pthread_mutex_unlock(&to->lock);
}

static const struct diagnostics diagnostics = { hear_diagnostic, &told };

/* Much is said in a short time, and whoever is slow is still waited for. */
static const struct link_timing quick = {
	.ping = 0.05,
	.silence = 5,
	.pause = 0.005,
	.pause_limit = 0.02,
	.hurry = 0.2,
	.retry = 60,
};

static enum kioku_status open_as(struct link_timing timing, const uint8_t *fingerprint,
				 bool (*goes_on)(void *user), struct link **out,
				 struct kioku_error *error)
{
	struct transfer_key key = { .has_fingerprint = true, .has_token = true };
	const struct link_options options = {
		.address = peer.address,
		.address_size = sizeof(struct sockaddr_in),
		.key = &key,
		.host = "suspect",
		.image = "image.lime",
		.tool = "test",
		.timing = timing,
		.diagnostics = &diagnostics,
	};

	signal(SIGPIPE, SIG_IGN);
	pthread_mutex_init(&told.lock, NULL);
	memcpy(key.fingerprint, fingerprint, sizeof(key.fingerprint));
	memcpy(key.token, peer.token, sizeof(key.token));
	return link_open(&options, goes_on, NULL, out, error);
}

static enum kioku_status open_quick(struct link **out, struct kioku_error *error)
{
	return open_as(quick, peer.identity.fingerprint, NULL, out, error);
}

/* --- what is sent */

static uint8_t content(uint32_t file, uint64_t offset)
{
	return (uint8_t)((offset * 2654435761u >> 13) + file * 37);
}

struct producer {
	struct link *link;
	uint32_t file;
	uint64_t size;
	enum kioku_status status;
	struct kioku_error error;
	pthread_t thread;
	atomic_ullong written;
};

static enum kioku_status send_piece(struct producer *producer, uint64_t offset, size_t size)
{
	static _Thread_local uint8_t data[TRANSFER_DATA_LIMIT];
	struct transfer_message message = {
		.type = TRANSFER_WRITE,
		.file = producer->file,
		.offset = offset,
		.data = { data, size },
	};

	for (size_t i = 0; i < size; i++)
		data[i] = content(producer->file, offset + i);
	return link_send(producer->link, &message, &producer->error);
}

/* Pieces of all sizes, from a byte to the largest. */
static void *produce(void *argument)
{
	struct producer *producer = argument;
	uint64_t random = producer->file + 1;

	while (producer->written < producer->size && producer->status == KIOKU_OK) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		uint64_t limit = random >> 60 < 4 ? 200 : TRANSFER_DATA_LIMIT;
		uint64_t size = (random >> 20) % limit + 1,
			 left = producer->size - producer->written;
		size = size < left ? size : left;
		producer->status = send_piece(producer, producer->written, size);
		producer->written += producer->status == KIOKU_OK ? size : 0;
	}
	return NULL;
}

static enum kioku_status produce_one(struct link *link, uint64_t size, struct kioku_error *error)
{
	struct producer producer = { .link = link, .size = size };

	produce(&producer);
	*error = producer.error;
	return producer.status;
}

static void check_file(uint32_t file, uint64_t size)
{
	CHECK_EQUAL(peer.now.sizes[file], size);
	for (uint64_t i = 0; i < size; i++)
		if (peer.files[file][i] != content(file, i))
			tap_fail(__FILE__, __LINE__, "file %u differs at %llu", file,
				 (unsigned long long)i);
}

static enum kioku_status close_file(struct link *link, uint64_t size, uint32_t flags,
				    struct kioku_error *error)
{
	return link_send(
		link,
		&(struct transfer_message){ .type = TRANSFER_CLOSE, .size = size, .flags = flags },
		error);
}

/* A whole session of one file, over whatever the scripts do. */
static void transfer(const struct script *scripts, size_t count, uint64_t size)
{
	struct kioku_error error = { 0 };
	struct file_digests digest = { 0 };
	struct link *link;

	peer_start(&peer, scripts, count, size);
	if (open_quick(&link, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
	CHECK(strcmp(link_folder(link), "fol?der") == 0);
	CHECK_EQUAL(produce_one(link, size, &error), KIOKU_OK);
	CHECK_EQUAL(close_file(link, size, TRANSFER_ANSWER, &error), KIOKU_OK);
	CHECK_EQUAL(link_await_digest(link, 0, &digest, NULL, NULL, &error), KIOKU_OK);
	CHECK_EQUAL(digest.sha256[31], 0x5a);
	if (link_finish(link, true, 12345, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s", error.message);
	uint64_t repeated = link->repeated, breaks = link->breaks;
	CHECK(repeated <= breaks << 20);
	link_close(link);
	peer_wait(&peer);
	peer_stop(&peer);
	check_file(0, size);
	CHECK(peer.now.done && peer.complete);
	CHECK_EQUAL(peer.lost, 12345);
	peer_release(&peer);
}

/* --- tests */

static void all_arrives_in_order(void)
{
	transfer(NULL, 0, 5000000);
	CHECK_EQUAL(peer.connections, 1);
	CHECK_EQUAL(peer.hellos, 1);
	CHECK_EQUAL(peer.byes, 1);
	CHECK_EQUAL(told.warnings, 0);
	CHECK(strcmp(peer.host, "suspect") == 0);
	CHECK(strcmp(peer.image, "image.lime") == 0);
}

static void all_arrives_over_cuts(void)
{
	static struct script scripts[200];
	static const enum spoil kinds[] = { CUT, RESET, NO_ACKS };
	uint64_t random = 1;

	for (size_t i = 0; i < SIZE_OF(scripts); i++) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		scripts[i].spoil = i % 20 == 0 && i > 0 ? (i % 40 == 0 ? DROPPED : HALF_GREETED)
							: kinds[i % 3];
		scripts[i].at = (random >> 33) % (i % 4 == 0 ? 2000 : 300000);
		scripts[i].note_every = i % 5 == 0 ? 400000 : 0;
	}
	transfer(scripts, SIZE_OF(scripts), 20000000);
	CHECK(peer.connections > 20);
	CHECK(told.warnings > 0);
	CHECK_SAYS(told.last_warning, "; trying again");
	CHECK_SAYS(told.last_note, "were sent twice");
}

/* The bytes of HELLO, and of the first messages, one by one. */
static void a_cut_may_be_at_any_byte(void)
{
	static struct script scripts[330];

	for (size_t i = 0; i < SIZE_OF(scripts); i++)
		scripts[i] = (struct script){ .spoil = i % 2 ? CUT : RESET, .at = i };
	transfer(scripts, SIZE_OF(scripts), 400000);
	CHECK_EQUAL(peer.connections, SIZE_OF(scripts) + 1);
}

static void a_lost_welcome_is_asked_for_again(void)
{
	static const struct script scripts[] = { { .spoil = NO_WELCOME },
						 { .spoil = NO_WELCOME },
						 { .spoil = CUT, .at = 5000 } };

	transfer(scripts, SIZE_OF(scripts), 1000000);
	CHECK_EQUAL(peer.hellos, 3);
	CHECK_EQUAL(peer.resumes, 1);
}

static void lost_answers_are_given_again(void)
{
	static const struct script scripts[] = { { .spoil = NO_ANSWER },
						 { .spoil = NO_ANSWER },
						 { .spoil = GOOD } };

	transfer(scripts, SIZE_OF(scripts), 100000);
	CHECK_EQUAL(peer.connections, 3);
}

/* DIGEST comes, DONE does not. */
static void a_lost_done_is_given_again(void)
{
	struct kioku_error error;
	struct link *link;
	static const struct script scripts[] = { { .spoil = NO_ANSWER }, { .spoil = GOOD } };

	peer_start(&peer, scripts, SIZE_OF(scripts), 1000);
	CHECK_EQUAL(open_quick(&link, &error), KIOKU_OK);
	CHECK_EQUAL(produce_one(link, 1000, &error), KIOKU_OK);
	CHECK_EQUAL(close_file(link, 1000, 0, &error), KIOKU_OK);
	CHECK_EQUAL(link_finish(link, false, 0, &error), KIOKU_OK);
	link_close(link);
	peer_stop(&peer);
	CHECK_EQUAL(peer.connections, 2);
	CHECK_EQUAL(peer.resumes, 1);
	CHECK(!peer.complete);
	peer_release(&peer);
}

static void silence_ends_a_connection(void)
{
	static const struct script scripts[] = { { .spoil = HUSHED, .at = 100 },
						 { .spoil = HUSHED, .at = 50000 } };
	struct link_timing timing = quick;
	struct kioku_error error;
	struct link *link;

	timing.silence = 0.4;
	peer_start(&peer, scripts, SIZE_OF(scripts), 3000000);
	CHECK_EQUAL(open_as(timing, peer.identity.fingerprint, NULL, &link, &error), KIOKU_OK);
	CHECK_EQUAL(produce_one(link, 3000000, &error), KIOKU_OK);
	CHECK_EQUAL(close_file(link, 3000000, 0, &error), KIOKU_OK);
	CHECK_EQUAL(link_finish(link, true, 0, &error), KIOKU_OK);
	link_close(link);
	peer_stop(&peer);
	CHECK(peer.connections > 2);
	check_file(0, 3000000);
	peer_release(&peer);
}

static void somebody_who_waits_is_alive(void)
{
	struct link_timing timing = quick;
	struct kioku_error error;
	struct link *link;

	timing.silence = 1;
	peer_start(&peer, NULL, 0, 1000);
	CHECK_EQUAL(open_as(timing, peer.identity.fingerprint, NULL, &link, &error), KIOKU_OK);
	usleep(1500000); /* in which nothing is written */
	CHECK_EQUAL(produce_one(link, 1000, &error), KIOKU_OK);
	CHECK_EQUAL(link_finish(link, true, 0, &error), KIOKU_OK);
	link_close(link);
	peer_stop(&peer);
	CHECK(peer.pings > 0);
	CHECK_EQUAL(peer.now.sizes[0], 1000);
	peer_release(&peer);
}

static void many_threads_write(void)
{
	enum { THREADS = 4, BYTES = 4000000 };
	static struct script scripts[30];
	struct producer producers[THREADS] = { 0 };
	struct kioku_error error;
	struct link *link;

	for (size_t i = 0; i < SIZE_OF(scripts); i++)
		scripts[i] = (struct script){ .spoil = i % 2 ? CUT : RESET,
					      .at = 100000 + i * 9999,
					      .note_every = i % 3 ? 0 : 300000 };
	peer_start(&peer, scripts, SIZE_OF(scripts), BYTES);
	CHECK_EQUAL(open_quick(&link, &error), KIOKU_OK);
	for (uint32_t i = 0; i < THREADS; i++) {
		producers[i].link = link;
		producers[i].file = i;
		producers[i].size = BYTES;
		CHECK_EQUAL(thread_create(&producers[i].thread, produce, &producers[i], NULL),
			    KIOKU_OK);
	}
	for (uint32_t i = 0; i < THREADS; i++) {
		pthread_join(producers[i].thread, NULL);
		CHECK_EQUAL(producers[i].status, KIOKU_OK);
	}
	CHECK_EQUAL(link_finish(link, true, 0, &error), KIOKU_OK);
	link_close(link);
	peer_stop(&peer);
	for (uint32_t i = 0; i < THREADS; i++)
		check_file(i, BYTES);
	peer_release(&peer);
}

static void what_waits_is_bounded(void)
{
	static const struct script scripts[] = { { .spoil = HUSHED, .at = 200 } };
	struct producer producer = { .size = 8000000 };
	struct kioku_error error;
	struct link *link;

	peer_start(&peer, scripts, SIZE_OF(scripts), 8000000);
	CHECK_EQUAL(open_quick(&link, &error), KIOKU_OK);
	producer.link = link;
	CHECK_EQUAL(thread_create(&producer.thread, produce, &producer, NULL), KIOKU_OK);
	for (unsigned long long last = 1; last != producer.written || last == 0;) {
		last = producer.written;
		usleep(300000);
	}
	CHECK(producer.written < 1 << 20);
	pthread_join(producer.thread, NULL); /* it goes on when the silence is over */
	CHECK_EQUAL(producer.status, KIOKU_OK);
	CHECK_EQUAL(link_finish(link, true, 0, &error), KIOKU_OK);
	CHECK(link->outbox.spare_count <= 9);
	CHECK_EQUAL(link->outbox.window, 1 << 20);
	link_close(link);
	peer_stop(&peer);
	check_file(0, 8000000);
	peer_release(&peer);
}

/* What becomes of a link whose receiver does this. */
static void fails(const struct script *scripts, size_t count, enum kioku_status expected,
		  const char *says)
{
	struct kioku_error error;
	struct link *link = NULL;

	peer_start(&peer, scripts, count, 8000000);
	enum kioku_status status = open_quick(&link, &error);
	if (status == KIOKU_OK)
		status = produce_one(link, 8000000, &error);
	if (status == KIOKU_OK)
		status = link_finish(link, true, 0, &error);
	CHECK_EQUAL(status, expected);
	CHECK_SAYS(error.message, says);
	if (link) {
		memset(&error, 0, sizeof(error));
		CHECK_EQUAL(link_finish(link, true, 0, &error),
			    expected); /* and all that follows */
		CHECK_SAYS(error.message, says);
	}
	link_close(link);
	peer_stop(&peer);
	peer_release(&peer);
}

static void refusals_are_final(void)
{
	static const struct script cases[] = {
		REFUSAL(0, VERSION, "version 1 is too old"),
		REFUSAL(0, TOKEN, "this token was used up"),
		REFUSAL(1000, STORAGE, "No space left on device"),
		REFUSAL(900000, QUOTA, "the quota is\n used up"),
		REFUSAL(50000, DIGEST, "another digest"),
	};
	static const char *const says[] = { "the receiver says: version 1 is too old", "used up",
					    "No space left", "the quota is? used up",
					    "another digest" };

	for (size_t i = 0; i < SIZE_OF(cases); i++) {
		fails(&cases[i], 1, i == 4 ? KIOKU_ERROR_CORRUPT : KIOKU_ERROR_REFUSED, says[i]);
		CHECK_EQUAL(peer.connections, 1);
	}
}

static void a_session_may_be_refused_later(void)
{
	static const struct script scripts[] = {
		{ .spoil = CUT, .at = 50000 },
		REFUSAL(0, TOKEN, "no such session"),
	};

	fails(scripts, SIZE_OF(scripts), KIOKU_ERROR_REFUSED, "no such session");
}

static void somebody_busy_is_asked_again(void)
{
	static const struct script scripts[] = {
		REFUSAL(0, BUSY, "come later"),
		REFUSAL(0, BUSY, "come later"),
		{ .spoil = CUT, .at = 9000 },
		REFUSAL(0, BUSY, "come later"),
	};

	transfer(scripts, SIZE_OF(scripts), 1000000);
	CHECK_EQUAL(peer.connections, 5);
}

static void lies_are_not_believed(void)
{
	static const struct script cases[] = {
		{ .spoil = LYING, .lie = { .type = TRANSFER_ACK, .position = 1ull << 40 } },
		{ .spoil = LYING, .lie = { .type = TRANSFER_DONE } },
		{ .spoil = LYING, .lie = { .type = TRANSFER_DIGEST, .file = TRANSFER_FILES } },
		{ .spoil = LYING, .lie = { .type = TRANSFER_PING } },
		{ .spoil = LYING, .lie = { .type = TRANSFER_CREATE } },
		{ .spoil = LYING, .lie = { .type = TRANSFER_WELCOME, .version = 1 } },
		{ .spoil = LYING, .at = 1, .lie = { .type = TRANSFER_ACK, .position = 1 } },
		{ .spoil = OLD },
	};
	static const char *const says[] = { "not sent",      "too early",      "no such file",
					    "only a sender", "only a sender",  "position",
					    "position",      "another version" };

	for (size_t i = 0; i < SIZE_OF(cases); i++)
		fails(&cases[i], 1, KIOKU_ERROR_CORRUPT, says[i]);
}

static void what_was_confirmed_must_not_be_lost(void)
{
	static const struct script scripts[] = {
		{ .spoil = CUT, .at = 500000 },
		{ .spoil = LYING, .at = 1, .lie = { .type = TRANSFER_ACK, .position = 0 } },
	};

	fails(scripts, SIZE_OF(scripts), KIOKU_ERROR_CORRUPT, "lost what it had confirmed");
}

static void another_key_ends_it_at_once(void)
{
	uint8_t other[TLS_FINGERPRINT_SIZE] = { 1 };
	struct kioku_error error;
	struct link *link;

	peer_start(&peer, NULL, 0, 1);
	CHECK_EQUAL(open_as(quick, other, NULL, &link, &error), KIOKU_ERROR_REFUSED);
	CHECK_SAYS(error.message, "another key");
	CHECK_SAYS(error.message, "127.0.0.1:");
	peer_stop(&peer);
	CHECK_EQUAL(peer.hellos, 0); /* it was told nothing */
	peer_release(&peer);
}

static void nobody_there_ends_it_at_once(void)
{
	struct kioku_error error;
	struct link *link;

	peer_start(&peer, NULL, 0, 1);
	peer_stop(&peer);
	CHECK_EQUAL(open_quick(&link, &error), KIOKU_ERROR_OS);
	CHECK_SAYS(error.message, "Connection refused");
	peer_release(&peer);
}

static bool no(void *user)
{
	return false;
}

static void waiting_can_be_stopped(void)
{
	static const struct script scripts[] = { { .spoil = HUSHED, .at = 0 } };
	struct kioku_error error;
	struct link *link;

	peer_start(&peer, scripts, 1, 1);
	CHECK_EQUAL(open_as(quick, peer.identity.fingerprint, no, &link, &error),
		    KIOKU_ERROR_STOPPED);
	peer_stop(&peer);
	peer_release(&peer);
}

/* A receiver that goes away in the middle, and does not come back. */
static struct link *lose(struct link_timing timing, struct producer *producer)
{
	static const struct script scripts[] = { { .spoil = CUT, .at = 300000 } };
	struct kioku_error error;

	peer_start(&peer, scripts, 1, 8000000);
	CHECK_EQUAL(open_as(timing, peer.identity.fingerprint, NULL, &producer->link, &error),
		    KIOKU_OK);
	CHECK_EQUAL(send_piece(producer, 0, 1000), KIOKU_OK);
	peer_stop(&peer);
	producer->written = 1000;
	producer->size = 8000000;
	CHECK_EQUAL(thread_create(&producer->thread, produce, producer, NULL), KIOKU_OK);
	return producer->link;
}

static void hurry_ends_a_lost_link(void)
{
	struct producer producer = { 0 };
	struct link *link = lose(quick, &producer);

	usleep(100000);
	link_hurry(link);
	pthread_join(producer.thread, NULL);
	CHECK_EQUAL(producer.status, KIOKU_ERROR_OS);
	CHECK_SAYS(producer.error.message, "no link to 127.0.0.1:");
	CHECK_SAYS(producer.error.message, "Connection refused");
	link_close(link);
	peer_release(&peer);
}

static void a_lost_link_is_given_up_in_the_end(void)
{
	struct link_timing timing = quick;
	struct producer producer = { 0 };

	timing.retry = 0.3;
	struct link *link = lose(timing, &producer);
	pthread_join(producer.thread, NULL);
	CHECK_EQUAL(producer.status, KIOKU_ERROR_OS);
	CHECK_SAYS(producer.error.message, "no link to 127.0.0.1:");
	link_close(link);
	peer_release(&peer);
}

/* It says WELCOME each time, and is no good. */
static void a_link_that_is_none_is_given_up_too(void)
{
	static struct script scripts[1000];
	struct link_timing timing = quick;
	struct kioku_error error;
	struct link *link;

	for (size_t i = 0; i < SIZE_OF(scripts); i++)
		scripts[i].spoil = LEAVING;
	timing.retry = 0.5;
	timing.ping = 5;
	peer_start(&peer, scripts, SIZE_OF(scripts), 8000000);
	CHECK_EQUAL(open_as(timing, peer.identity.fingerprint, NULL, &link, &error), KIOKU_OK);
	/* LIMIT: on a machine that is busy, the last try may have had no answer at all. */
	enum kioku_status status = produce_one(link, 8000000, &error);
	CHECK(status == KIOKU_ERROR_OS || status == KIOKU_ERROR_LIMIT);
	CHECK_SAYS(error.message, "no link to 127.0.0.1:");
	link_close(link);
	peer_stop(&peer);
	peer_release(&peer);
}

/* It is alive, and confirms nothing: only somebody in a hurry gives it up. */
static void hurry_ends_what_does_not_move(void)
{
	static const struct script scripts[] = { { .spoil = GOOD, .note_every = 1ull << 40 } };
	struct producer producer = { .size = 8000000 };
	struct kioku_error error;

	peer_start(&peer, scripts, 1, 8000000);
	CHECK_EQUAL(open_quick(&producer.link, &error), KIOKU_OK);
	CHECK_EQUAL(thread_create(&producer.thread, produce, &producer, NULL), KIOKU_OK);
	usleep(300000);
	CHECK(producer.written < 1 << 20);
	link_hurry(producer.link);
	pthread_join(producer.thread, NULL);
	CHECK_EQUAL(producer.status, KIOKU_ERROR_OS);
	CHECK_SAYS(producer.error.message, "takes nothing any more");
	link_close(producer.link);
	peer_stop(&peer);
	peer_release(&peer);
}

/* Whoever waits while the link is closed would wait for ever; nobody may, but a lost link is closed. */
static void a_lost_link_can_be_closed(void)
{
	struct kioku_error error;
	struct link *link;

	peer_start(&peer, NULL, 0, 1000);
	CHECK_EQUAL(open_quick(&link, &error), KIOKU_OK);
	peer_stop(&peer);
	CHECK_EQUAL(produce_one(link, 1000, &error), KIOKU_OK); /* there is room */
	link_close(link);
	peer_release(&peer);
}

TAP_MAIN(TEST(all_arrives_in_order), TEST(all_arrives_over_cuts), TEST(a_cut_may_be_at_any_byte),
	 TEST(a_lost_welcome_is_asked_for_again), TEST(lost_answers_are_given_again),
	 TEST(a_lost_done_is_given_again), TEST(silence_ends_a_connection),
	 TEST(somebody_who_waits_is_alive), TEST(many_threads_write), TEST(what_waits_is_bounded),
	 TEST(refusals_are_final), TEST(a_session_may_be_refused_later),
	 TEST(somebody_busy_is_asked_again), TEST(lies_are_not_believed),
	 TEST(what_was_confirmed_must_not_be_lost), TEST(another_key_ends_it_at_once),
	 TEST(nobody_there_ends_it_at_once), TEST(waiting_can_be_stopped),
	 TEST(hurry_ends_a_lost_link), TEST(a_lost_link_is_given_up_in_the_end),
	 TEST(a_lost_link_can_be_closed), TEST(a_link_that_is_none_is_given_up_too),
	 TEST(hurry_ends_what_does_not_move))

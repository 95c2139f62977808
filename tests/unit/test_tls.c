/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Keys as they are pasted, and connections that are known by them. */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "base/thread.h"
#include "test_peer.h"
#include "transfer/key.h"

/* --- keys */

static enum kioku_status parse(const char *text, struct transfer_key *key)
{
	return key_parse((struct bytes){ (const uint8_t *)text, strlen(text) }, key, NULL);
}

#define FINGERPRINT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define TOKEN       "_-7dzLuqmYh3ZlVEMyIRAA"

static void keys_come_back(void)
{
	static const char *const texts[] = { FINGERPRINT "." TOKEN, FINGERPRINT, TOKEN };
	char printed[KEY_TEXT];

	for (size_t i = 0; i < 3; i++) {
		struct transfer_key key;
		CHECK_EQUAL(parse(texts[i], &key), KIOKU_OK);
		CHECK_EQUAL(key.has_fingerprint, i < 2);
		CHECK_EQUAL(key.has_token, i != 1);
		for (size_t n = 0; n < 32 && key.has_fingerprint; n++)
			CHECK_EQUAL(key.fingerprint[n], n);
		if (key.has_token) {
			CHECK_EQUAL(key.token[0], 0xff);
			CHECK_EQUAL(key.token[1], 0xee);
			CHECK_EQUAL(key.token[15], 0);
		}
		key_print(&key, printed);
		CHECK(strcmp(printed, texts[i]) == 0);
	}
}

static void keys_are_strict(void)
{
	static const char *const bad[] = {
		"",
		".",
		"AA",
		FINGERPRINT ".",
		"." TOKEN,
		FINGERPRINT TOKEN,
		TOKEN "=",
		FINGERPRINT ":" TOKEN,
		TOKEN "." FINGERPRINT,
		"_-7dzLuqmYh3ZlVEMyIRAB", /* bits that belong to no byte */
		"/+7dzLuqmYh3ZlVEMyIRAA", /* the other alphabet */
		"_-7dzLuqmYh3ZlVEMyIRA\n",
		"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
	};
	struct transfer_key key;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		CHECK_EQUAL(parse(bad[i], &key), KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(key_parse((struct bytes){ (const uint8_t *)"_-7dzLuqmYh3ZlVEMyIR\0A", 22 },
			      &key, NULL),
		    KIOKU_ERROR_ARGUMENT);
}

static void count_warning(void *user, enum kioku_severity severity, const char *message)
{
	*(int *)user += severity == KIOKU_WARNING;
}

static void keys_are_read_from_files(void)
{
	int warnings = 0;
	const struct diagnostics heard = { count_warning, &warnings };
	char path[] = "/tmp/kioku-test-key-XXXXXX";
	AUTO_CLOSE int file = mkstemp(path);
	static const char text[] = "\r\n  " FINGERPRINT "." TOKEN "  \nand more\n";
	struct transfer_key key;
	struct kioku_error error;

	CHECK(write(file, text, sizeof(text) - 1) == sizeof(text) - 1);
	enum kioku_status closed = key_read(path, &heard, &key, &error);
	CHECK_EQUAL(warnings, 0);
	CHECK(fchmod(file, 0644) == 0);
	enum kioku_status open = key_read(path, &heard, &key, &error);
	CHECK(ftruncate(file, 20) == 0);
	enum kioku_status cut = key_read(path, NULL, &key, &error);
	unlink(path);
	CHECK_EQUAL(closed, KIOKU_OK);
	CHECK_EQUAL(open, KIOKU_OK);
	CHECK_EQUAL(warnings, 1);
	CHECK_EQUAL(cut, KIOKU_ERROR_ARGUMENT);
	CHECK_SAYS(error.message, path);
	CHECK(!strstr(error.message, "AAECAw")); /* a secret is not repeated */
	CHECK_EQUAL(key_read(path, NULL, &key, &error), KIOKU_ERROR_OS);
}

/* --- connections */

struct end {
	struct tls_context *context;
	int descriptor;
	enum kioku_status status;
	struct kioku_error error;
	uint64_t bytes; /* that a server reads, then that a client writes */
};

static void wait_for(int descriptor, short events)
{
	struct pollfd waited = { .fd = descriptor, .events = events };

	poll(&waited, 1, -1);
}

static void *serve(void *argument)
{
	struct end *end = argument;
	AUTO_TLS struct tls *tls = NULL;
	static uint8_t buffer[100000];
	uint64_t read = 0;

	end->status = tls_open(end->context, end->descriptor, &tls, &end->error);
	if (end->status == KIOKU_OK)
		end->status = tls_handshake_within(tls, 30, &end->error);
	while (end->status == KIOKU_OK) {
		size_t done;
		short events;
		end->status = tls_read(tls, buffer, sizeof(buffer), &done, &events, &end->error);
		for (size_t i = 0; i < done; i++)
			if (buffer[i] != (uint8_t)((read + i) * 7 >> 3))
				tap_fail(__FILE__, __LINE__, "another byte at %zu",
					 (size_t)read + i);
		read += done;
		if (done == 0 && end->status == KIOKU_OK)
			wait_for(end->descriptor, events);
	}
	CHECK_EQUAL(read, end->bytes);
	close(end->descriptor);
	return NULL;
}

static void write_all(struct tls *tls, struct end *end)
{
	AUTO_FREE uint8_t *data = malloc(end->bytes + 1);

	for (uint64_t i = 0; i < end->bytes; i++)
		data[i] = (uint8_t)(i * 7 >> 3);
	for (uint64_t written = 0; written < end->bytes && end->status == KIOKU_OK;) {
		size_t done;
		short events;
		end->status = tls_write(tls, data + written, end->bytes - written, &done, &events,
					&end->error);
		written += done;
		if (done == 0 && end->status == KIOKU_OK)
			wait_for(end->descriptor, events);
	}
}

static void make_pair(struct end *client, struct end *server)
{
	int pair[2];

	signal(SIGPIPE, SIG_IGN);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
	client->descriptor = pair[0];
	server->descriptor = pair[1];
}

static void connect_both(struct end *client, struct end *server)
{
	pthread_t thread;

	make_pair(client, server);
	server->bytes = client->bytes;
	CHECK_EQUAL(thread_create(&thread, serve, server, NULL), KIOKU_OK);
	struct tls *tls = NULL;
	client->status = tls_open(client->context, client->descriptor, &tls, &client->error);
	if (client->status == KIOKU_OK)
		client->status = tls_handshake_within(tls, 30, &client->error);
	write_all(tls, client);
	tls_close(tls);
	close(client->descriptor);
	pthread_join(thread, NULL);
}

static void bytes_arrive(void)
{
	struct identity identity;
	struct end client = { .bytes = (3 << 20) + 7 }, server = { 0 };

	make_identity(&identity);
	CHECK_EQUAL(tls_client(identity.fingerprint, &client.context, NULL), KIOKU_OK);
	CHECK_EQUAL(tls_server(identity.key, identity.certificate, &server.context, NULL),
		    KIOKU_OK);
	for (int i = 0; i < 2; i++) {
		connect_both(&client, &server);
		CHECK_EQUAL(client.status, KIOKU_OK);
		CHECK_EQUAL(server.status, KIOKU_ERROR_OS);
		CHECK_SAYS(server.error.message, "closed by the other side");
		client.bytes = 0;
	}
	tls_context_release(client.context);
	tls_context_release(server.context);
	release_identity(&identity);
}

static void another_key_is_refused(void)
{
	struct identity identity, other;
	struct end client = { 0 }, server = { 0 };

	make_identity(&identity);
	make_identity(&other);
	CHECK_EQUAL(tls_server(other.key, identity.certificate, &server.context, NULL),
		    KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(tls_client(identity.fingerprint, &client.context, NULL), KIOKU_OK);
	CHECK_EQUAL(tls_server(other.key, other.certificate, &server.context, NULL), KIOKU_OK);
	connect_both(&client, &server);
	CHECK_EQUAL(client.status, KIOKU_ERROR_REFUSED);
	CHECK_SAYS(client.error.message, "another key");
	CHECK_EQUAL(server.status, KIOKU_ERROR_REFUSED);
	CHECK_SAYS(server.error.message, "does not accept this receiver's key");
	tls_context_release(client.context);
	tls_context_release(server.context);
	release_identity(&identity);
	release_identity(&other);
}

/* What either side says when the other one speaks something else. */
static void hear(bool is_server, const char *said, enum kioku_status expected, const char *says)
{
	struct identity identity;
	struct end client = { 0 }, server = { 0 };
	struct end *end = is_server ? &server : &client, *other = is_server ? &client : &server;
	AUTO_TLS struct tls *tls = NULL;

	make_identity(&identity);
	CHECK_EQUAL(tls_client(identity.fingerprint, &client.context, NULL), KIOKU_OK);
	CHECK_EQUAL(tls_server(identity.key, identity.certificate, &server.context, NULL),
		    KIOKU_OK);
	make_pair(&client, &server);
	CHECK(write(other->descriptor, said, strlen(said)) == (ssize_t)strlen(said));
	shutdown(other->descriptor, SHUT_WR);
	CHECK_EQUAL(tls_open(end->context, end->descriptor, &tls, NULL), KIOKU_OK);
	CHECK_EQUAL(tls_handshake_within(tls, 30, &end->error), expected);
	CHECK_SAYS(end->error.message, says);
	close(client.descriptor);
	close(server.descriptor);
	tls_context_release(client.context);
	tls_context_release(server.context);
	release_identity(&identity);
}

static void strangers_are_named(void)
{
	hear(false, "SSH-2.0-OpenSSH_9.2\r\n", KIOKU_ERROR_REFUSED, "not a kioku receiver");
	hear(false, "", KIOKU_ERROR_OS, "closed by the other side");
	hear(true, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", KIOKU_ERROR_REFUSED, "not a kioku sender");
	hear(true, "", KIOKU_ERROR_OS, "closed by the other side");
}

static SSL_CTX *open_context(const SSL_METHOD *method, int version, const char *protocol)
{
	SSL_CTX *context = SSL_CTX_new(method);

	SSL_CTX_set_max_proto_version(context, version);
	if (protocol)
		SSL_CTX_set_alpn_protos(context, (const unsigned char *)protocol, strlen(protocol));
	return context;
}

struct plain {
	SSL_CTX *context;
	int descriptor;
};

static void *connect_plain(void *argument)
{
	struct plain *plain = argument;
	SSL *ssl = SSL_new(plain->context);

	fcntl(plain->descriptor, F_SETFL, 0);
	SSL_set_fd(ssl, plain->descriptor);
	SSL_connect(ssl);
	SSL_free(ssl);
	close(plain->descriptor);
	return NULL;
}

static void old_and_foreign_tls_is_refused(void)
{
	static const struct {
		int version;
		const char *protocol;
	} cases[] = { { TLS1_2_VERSION, "\7kioku/1" }, { TLS1_3_VERSION, "\2h2" } };
	struct identity identity;
	struct end client = { 0 }, server = { 0 };
	pthread_t thread;

	make_identity(&identity);
	CHECK_EQUAL(tls_server(identity.key, identity.certificate, &server.context, NULL),
		    KIOKU_OK);
	for (size_t i = 0; i < 2; i++) {
		struct tls *tls = NULL;
		make_pair(&client, &server);
		struct plain plain = { open_context(TLS_client_method(), cases[i].version,
						    cases[i].protocol),
				       client.descriptor };
		CHECK_EQUAL(thread_create(&thread, connect_plain, &plain, NULL), KIOKU_OK);
		CHECK_EQUAL(tls_open(server.context, server.descriptor, &tls, NULL), KIOKU_OK);
		CHECK_EQUAL(tls_handshake_within(tls, 30, &server.error), KIOKU_ERROR_REFUSED);
		CHECK_SAYS(server.error.message, "not a kioku sender");
		tls_close(tls);
		close(server.descriptor);
		pthread_join(thread, NULL);
		SSL_CTX_free(plain.context);
	}
	tls_context_release(server.context);
	release_identity(&identity);
}

static void silence_ends_a_handshake(void)
{
	struct identity identity;
	struct end client = { 0 }, server = { 0 };
	AUTO_TLS struct tls *tls = NULL;

	make_identity(&identity);
	make_pair(&client, &server);
	CHECK_EQUAL(tls_client(identity.fingerprint, &client.context, NULL), KIOKU_OK);
	CHECK_EQUAL(tls_open(client.context, client.descriptor, &tls, NULL), KIOKU_OK);
	CHECK_EQUAL(tls_handshake_within(tls, 0.05, &client.error), KIOKU_ERROR_OS);
	CHECK_SAYS(client.error.message, "timed out");
	close(client.descriptor);
	close(server.descriptor);
	tls_context_release(client.context);
	release_identity(&identity);
}

TAP_MAIN(TEST(keys_come_back), TEST(keys_are_strict), TEST(keys_are_read_from_files),
	 TEST(bytes_arrive), TEST(another_key_is_refused), TEST(strangers_are_named),
	 TEST(old_and_foreign_tls_is_refused), TEST(silence_ends_a_handshake))

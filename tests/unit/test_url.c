/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* URLs of destinations, and what is known of a destination before it is opened. */
#include <stdlib.h>
#include <string.h>

#include "tap.h"
#include "transfer/destination.h"
#include "base/url.h"

#define CHECK_TEXT(is, expected) CHECK(strcmp(is, expected) == 0)

static void is_parsed_as(const char *text, const char *scheme, const char *user, const char *host,
			 int port, const char *path, const char *fragment)
{
	AUTO_URL struct url url = { 0 };

	CHECK_EQUAL(url_parse(text, &url, NULL), KIOKU_OK);
	CHECK_TEXT(url.scheme, scheme);
	CHECK_TEXT(url.user, user);
	CHECK_TEXT(url.host, host);
	CHECK_EQUAL(url.has_port ? (int)url.port : -1, port);
	CHECK_TEXT(url.path, path);
	CHECK_TEXT(url.fragment, fragment);
}

static void parses_urls(void)
{
	is_parsed_as("tcp://10.0.0.1:9", "tcp", "", "10.0.0.1", 9, "", "");
	is_parsed_as("tcp-listen://:0", "tcp-listen", "", "", 0, "", "");
	is_parsed_as("tcp://[fe80::1%lo]:65535", "tcp", "", "fe80::1%lo", 65535, "", "");
	is_parsed_as("ssh://a@b/c/d e@f:1", "ssh", "a", "b", -1, "c/d e@f:1", "");
	is_parsed_as("ssh://h:2222/~/x", "ssh", "", "h", 2222, "~/x", "");
	is_parsed_as("kioku://[::1]:7633/n.lime#K.T", "kioku", "", "::1", 7633, "n.lime", "K.T");
	is_parsed_as("kioku://h#K/y", "kioku", "", "h", -1, "", "K/y");
	is_parsed_as("kioku://", "kioku", "", "", -1, "", "");
}

static void knows_paths(void)
{
	static const char *const paths[] = {
		"-", "a/b", "./tcp://x", "://", "a b://c", "-://", ""
	};
	AUTO_URL struct url url = { 0 };

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		url_release(&url);
		CHECK_EQUAL(url_parse(paths[i], &url, NULL), KIOKU_OK);
		CHECK(!url.scheme);
		CHECK_TEXT(url.path, paths[i]);
	}
}

static void refuses_urls(void)
{
	static const char *const texts[] = { "tcp://h:",        "tcp://h:65536", "tcp://h:-1",
					     "tcp://h:0000001", "tcp://[::1",    "tcp://[::1]x",
					     "tcp://::1:80",    "tcp://h:8 " };
	struct url url;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		CHECK_EQUAL(url_parse(texts[i], &url, NULL), KIOKU_ERROR_ARGUMENT);
		url_release(&url);
	}
}

static void reads_addresses(void)
{
	static const char *const refused[] = { "",          "host",      "1.2.3",
					       "1.2.3.4.5", "256.0.0.1", "fe80::1%nope",
					       "0x7f000001" };
	struct sockaddr_storage address;
	char text[SOCKET_ADDRESS_TEXT];
	socklen_t size;

	CHECK_EQUAL(socket_address("192.0.2.1", 80, &address, &size, NULL), KIOKU_OK);
	socket_address_text(&address, text);
	CHECK_TEXT(text, "192.0.2.1:80");
	CHECK_EQUAL(socket_address("2001:db8::1", 0, &address, &size, NULL), KIOKU_OK);
	socket_address_text(&address, text);
	CHECK_TEXT(text, "[2001:db8::1]:0");
	CHECK_EQUAL(socket_address("localhost", 1, &address, &size, NULL), KIOKU_OK);
	socket_address_text(&address, text);
	CHECK_TEXT(text, "127.0.0.1:1");
	CHECK_EQUAL(socket_address("::", 1, &address, &size, NULL), KIOKU_OK);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)

		CHECK_EQUAL(socket_address(refused[i], 1, &address, &size, NULL),
			    KIOKU_ERROR_ARGUMENT);
}

static void is_outlined_as(const char *where, const char *name, bool is_local, bool is_stream)
{
	struct destination_outline outline;

	CHECK_EQUAL(destination_outline(where, &outline, NULL), KIOKU_OK);
	CHECK_TEXT(outline.name, name);
	CHECK_EQUAL(outline.is_local, is_local);
	CHECK_EQUAL(outline.is_stream, is_stream);
	free(outline.name);
}

static void outlines_destinations(void)
{
	struct destination_outline outline;

	is_outlined_as("-", "", false, true);
	is_outlined_as("./-", "./-", true, false);
	is_outlined_as("tcp://127.0.0.1:1", "", false, true);
	is_outlined_as("tcp-listen://:1", "", false, true);
	CHECK_EQUAL(destination_outline("gopher://h/x", &outline, NULL), KIOKU_ERROR_ARGUMENT);
}

TAP_MAIN(TEST(parses_urls), TEST(knows_paths), TEST(refuses_urls), TEST(reads_addresses),
	 TEST(outlines_destinations))

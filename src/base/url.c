/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/url.h"

#include <ctype.h>
#include <net/if.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The size of a scheme in front of "://"; 0: there is none. */
static size_t scheme_size(const char *text)
{
	size_t size = 0;

	while (isalnum((unsigned char)text[size]) || (size > 0 && text[size] == '-'))
		size++;
	return strncmp(text + size, "://", 3) == 0 ? size : 0;
}

static bool parse_port(const char *text, unsigned *out)
{
	unsigned value = 0;

	if (!*text || strlen(text) > 5 || strspn(text, "0123456789") != strlen(text))
		return false;
	for (; *text; text++)
		value = value * 10 + (unsigned)(*text - '0');
	*out = value;
	return value <= 65535;
}

/* Cuts what stands before the end of the host off: "[ADDRESS]" or "ADDRESS", and ":PORT". */
static bool split_host(struct url *url, char *authority)
{
	char *port;

	url->host = authority;
	if (*authority == '[') {
		char *end = strchr(authority, ']');
		if (!end || (end[1] && end[1] != ':'))
			return false;
		url->host = authority + 1;
		port = end[1] ? end + 2 : NULL;
		*end = '\0';
	} else {
		port = strchr(authority, ':');
		if (port)
			*port++ = '\0';
	}
	url->has_port = port != NULL;
	return !port || parse_port(port, &url->port);
}

/* Ends a text at the first such character; returns what follows it. */
static const char *cut(char *text, char end, const char *nothing)
{
	char *found = strchr(text, end);

	if (!found)
		return nothing;
	*found = '\0';
	return found + 1;
}

enum kioku_status url_parse(const char *text, struct url *out, struct kioku_error *error)
{
	size_t scheme = scheme_size(text);
	static const char nothing[] = "";

	*out = (struct url){
		.user = nothing, .host = nothing, .path = nothing, .fragment = nothing
	};
	out->text = strdup(text);
	if (!out->text)
		return error_no_memory(error);
	if (scheme == 0) {
		out->path = out->text;
		return KIOKU_OK;
	}
	out->scheme = out->text;
	out->text[scheme] = '\0';
	char *authority = out->text + scheme + 3;
	out->fragment = cut(authority, '#', nothing);
	out->path = cut(authority, '/', nothing);
	char *at = strrchr(authority, '@');
	if (at) {
		*at = '\0';
		out->user = authority;
		authority = at + 1;
	}
	size_t size = strlen(authority);
	size_t start = (size_t)(authority - out->text);
	if (!split_host(out, authority))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "\"%.*s\" is no host and port: an IPv6 address stands in "
				 "brackets, a port is a number up to 65535",
				 (int)size, text + start);
	return KIOKU_OK;
}

void url_release(struct url *url)
{
	free(url->text);
	*url = (struct url){ 0 };
}

static bool make_ipv4(const char *host, unsigned port, struct sockaddr_storage *out)
{
	struct sockaddr_in *address = (struct sockaddr_in *)out;

	address->sin_family = AF_INET;
	address->sin_port = htons((uint16_t)port);
	return inet_pton(AF_INET, host, &address->sin_addr) == 1;
}

static bool make_ipv6(const char *host, unsigned port, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *address = (struct sockaddr_in6 *)out;
	AUTO_FREE char *copy = strdup(host);
	char *scope = copy;

	if (!copy)
		return false;
	strsep(&scope, "%");
	*address = (struct sockaddr_in6){ .sin6_family = AF_INET6,
					  .sin6_port = htons((uint16_t)port) };
	address->sin6_scope_id = scope ? if_nametoindex(scope) : 0;
	return (!scope || address->sin6_scope_id > 0) &&
	       inet_pton(AF_INET6, copy, &address->sin6_addr) == 1;
}

enum kioku_status socket_address(const char *host, unsigned port, struct sockaddr_storage *out,
				 socklen_t *size, struct kioku_error *error)
{
	const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;

	*out = (struct sockaddr_storage){ 0 };
	if (make_ipv4(numeric, port, out)) {
		*size = sizeof(struct sockaddr_in);
		return KIOKU_OK;
	}
	if (make_ipv6(numeric, port, out)) {
		*size = sizeof(struct sockaddr_in6);
		return KIOKU_OK;
	}
	return error_set(error, KIOKU_ERROR_ARGUMENT,
			 "\"%s\" is not a numeric address, and names are not looked up", host);
}

void socket_address_text(const struct sockaddr_storage *address, char out[SOCKET_ADDRESS_TEXT])
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)address;
		inet_ntop(AF_INET, &ipv4->sin_addr, host, sizeof(host));
		snprintf(out, SOCKET_ADDRESS_TEXT, "%s:%u", host, ntohs(ipv4->sin_port));
		return;
	}
	const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)address;
	inet_ntop(AF_INET6, &ipv6->sin6_addr, host, sizeof(host));
	snprintf(out, SOCKET_ADDRESS_TEXT, "[%s]:%u", host, ntohs(ipv6->sin6_port));
}

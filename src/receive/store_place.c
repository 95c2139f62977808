/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/store_place.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "receive/sigv4.h"
#include "base/url.h"

static bool is_loopback(const char *host)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &ipv4) == 1)
		return ntohl(ipv4.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &ipv6) == 1 && IN6_IS_ADDR_LOOPBACK(&ipv6);
}

/* A name, an IPv4 address, or an IPv6 address without a scope. */
static bool is_host(const char *host)
{
	struct in6_addr ipv6;

	if (strchr(host, ':'))
		return inet_pton(AF_INET6, host, &ipv6) == 1;
	for (const char *c = host; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
			return false;
	}
	return *host && *host != '-';
}

static bool is_region(const char *region)
{
	for (const char *c = region; *c; c++) {
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return false;
	}
	return *region;
}

/* %XX becomes the character. False: it is none, or one that cannot be in a key. */
static bool decode(const char *text, char *out)
{
	unsigned value;

	for (; *text; text++) {
		value = (unsigned char)*text;
		if (value == '%') {
			if (!isxdigit((unsigned char)text[1]) || !isxdigit((unsigned char)text[2]))
				return false;
			sscanf(text + 1, "%2x", &value);
			text += 2;
		} else if (value == '?') {
			return false;
		}
		if (value < ' ' || value == 0x7f)
			return false;
		*out++ = (char)value;
	}
	*out = '\0';
	return true;
}

/* Whether a path consists of names: none is empty, "." or "..". */
static bool has_names(const char *path)
{
	for (const char *end; *path; path = end + (*end == '/')) {
		end = strchrnul(path, '/');
		size_t size = (size_t)(end - path);
		if (size == 0 || (size == 1 && *path == '.') ||
		    (size == 2 && strncmp(path, "..", 2) == 0))
			return false;
	}
	return true;
}

static bool make_path(const char *path, struct store_place *out)
{
	AUTO_FREE char *decoded = malloc(strlen(path) + 2);

	if (!decoded || !decode(path, decoded + 1))
		return false;
	*decoded = '/';
	for (size_t size = strlen(decoded); size > 1 && decoded[size - 1] == '/'; size--)
		decoded[size - 1] = '\0';
	if (!decoded[1] || !has_names(decoded + 1))
		return false;
	out->path = sigv4_encode(decoded, true);
	return out->path != NULL;
}

static bool make_origin(const struct url *url, struct store_place *out)
{
	bool is_ipv6 = strchr(url->host, ':') != NULL;
	char port[16] = "";

	if (url->has_port)
		snprintf(port, sizeof(port), ":%u", url->port);
	if (asprintf(&out->origin, "%s://%s%s%s%s", url->scheme, is_ipv6 ? "[" : "", url->host,
		     is_ipv6 ? "]" : "", port) < 0) {
		out->origin = NULL;
		return false;
	}
	out->host = out->origin + strlen(url->scheme) + strlen("://");
	return true;
}

enum kioku_status store_place_parse(const char *text, const char *region, struct store_place *out,
				    struct kioku_error *error)
{
	AUTO_URL struct url url = { 0 };

	*out = (struct store_place){ 0 };
	TRY(url_parse(text, &url, error));
	bool is_http = url.scheme && strcmp(url.scheme, "http") == 0;
	if (!is_http && (!url.scheme || strcmp(url.scheme, "https") != 0))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "a store is https://HOST[:PORT]/BUCKET[/PREFIX]");
	if (*url.user)
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "credentials do not belong into a store's URL");
	if (!is_host(url.host) || (url.has_port && url.port == 0))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "\"%s\" is no host of a store",
				 url.host);
	if (is_http && !is_loopback(url.host))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "a store that is not on this machine must be https://");
	if (*url.fragment || !make_path(url.path, out))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "\"/%s\" is no bucket and prefix of a store", url.path);
	if (region && !is_region(region))
		return error_set(error, KIOKU_ERROR_ARGUMENT, "\"%s\" is no region", region);
	out->region = strdup(region ? region : "us-east-1");
	return out->region && make_origin(&url, out) ? KIOKU_OK : error_no_memory(error);
}

void store_place_release(struct store_place *place)
{
	free(place->origin);
	free(place->path);
	free(place->region);
	*place = (struct store_place){ 0 };
}

char *store_place_path(const struct store_place *place, const char *folder, const char *file)
{
	AUTO_FREE char *encoded_folder = sigv4_encode(folder, false);
	AUTO_FREE char *encoded_file = sigv4_encode(file, false);
	char *path;

	if (!encoded_folder || !encoded_file ||
	    asprintf(&path, "%s/%s/%s", place->path, encoded_folder, encoded_file) < 0)
		return NULL;
	return path;
}

char *store_folder_name(const char *path)
{
	size_t size = strlen(path), start;

	while (size > 0 && path[size - 1] == '/')
		size--;
	for (start = size; start > 0 && path[start - 1] != '/'; start--)
		;
	path += start;
	size -= start;
	if (size == 0 || (size == 1 && *path == '.') || (size == 2 && strncmp(path, "..", 2) == 0))
		return NULL;
	return strndup(path, size);
}

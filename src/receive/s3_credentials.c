/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/s3_credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/cleanup.h"

#define FILE_LIMIT (64u << 10)

struct secret_text {
	char bytes[FILE_LIMIT + 1];
};

static void cleanup_secret(struct secret_text **text)
{
	if (*text)
		OPENSSL_cleanse(*text, sizeof(**text));
	free(*text);
}

void s3_credentials_wipe(struct s3_credentials *credentials)
{
	OPENSSL_cleanse(credentials, sizeof(*credentials));
}

/* False: it does not fit, or has what must not be in a header. */
static bool keep(const char *value, char *out, size_t size)
{
	size_t length = strlen(value);

	if (length >= size)
		return false;
	for (const char *c = value; *c; c++) {
		if (*c <= ' ' || *c > '~')
			return false;
	}
	memcpy(out, value, length + 1);
	return true;
}

/* A text without the white space around it, which is overwritten. */
static char *trim(char *text)
{
	text += strspn(text, " \t\r");
	size_t size = strlen(text);
	while (size > 0 && strchr(" \t\r", text[size - 1]))
		text[--size] = '\0';
	return text;
}

static bool keep_named(const char *name, const char *value, struct s3_credentials *out)
{
	if (strcmp(name, "aws_access_key_id") == 0)
		return keep(value, out->access_key, sizeof(out->access_key));
	if (strcmp(name, "aws_secret_access_key") == 0)
		return keep(value, out->secret_key, sizeof(out->secret_key));
	if (strcmp(name, "aws_session_token") == 0)
		return keep(value, out->session_token, sizeof(out->session_token));
	return true; /* a file may set more than we need */
}

/* Lines of NAME = VALUE below [default]. */
static bool parse(char *text, struct s3_credentials *out)
{
	bool is_ours = false, good = true;
	char *line;

	while ((line = strsep(&text, "\n"))) {
		line = trim(line);
		char *equals = strchr(line, '=');
		if (*line == '[') {
			is_ours = strcmp(line, "[default]") == 0;
		} else if (is_ours && *line != '#' && *line != ';' && equals) {
			*equals = '\0';
			good = keep_named(trim(line), trim(equals + 1), out) && good;
		}
	}
	return good;
}

static enum kioku_status load_file(const char *path, struct s3_credentials *out,
				   struct kioku_error *error)
{
	CLEANUP(cleanup_secret) struct secret_text *text = calloc(1, sizeof(*text));
	AUTO_CLOSE int file = open(path, O_RDONLY | O_CLOEXEC);
	size_t size = 0;
	ssize_t got;

	if (!text)
		return error_no_memory(error);
	if (file < 0)
		return error_os(error, "cannot open %s", path);
	while ((got = read(file, text->bytes + size, FILE_LIMIT - size)) != 0) {
		if (got < 0 && errno != EINTR)
			return error_os(error, "cannot read %s", path);
		size += got > 0 ? (size_t)got : 0;
	}
	if (size == FILE_LIMIT)
		return error_set(error, KIOKU_ERROR_ARGUMENT, "%s is too large", path);
	if (!parse(text->bytes, out))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "what %s has below [default] cannot be a key of a store", path);
	return KIOKU_OK;
}

static bool load_environment(struct s3_credentials *out)
{
	const char *access_key = getenv("AWS_ACCESS_KEY_ID");
	const char *secret_key = getenv("AWS_SECRET_ACCESS_KEY");
	const char *token = getenv("AWS_SESSION_TOKEN");

	return keep(access_key ? access_key : "", out->access_key, sizeof(out->access_key)) &&
	       keep(secret_key ? secret_key : "", out->secret_key, sizeof(out->secret_key)) &&
	       keep(token ? token : "", out->session_token, sizeof(out->session_token));
}

enum kioku_status s3_credentials_load(const char *path, struct s3_credentials *out,
				      struct kioku_error *error)
{
	memset(out, 0, sizeof(*out));
	if (path)
		TRY(load_file(path, out, error));
	else if (!load_environment(out))
		return error_set(
			error, KIOKU_ERROR_ARGUMENT,
			"what AWS_ACCESS_KEY_ID and so on have cannot be a key of a store");
	if (out->access_key[0] && out->secret_key[0])
		return KIOKU_OK;
	return path ? error_set(error, KIOKU_ERROR_ARGUMENT,
				"%s has no aws_access_key_id and aws_secret_access_key below "
				"[default]",
				path)
		    : error_set(error, KIOKU_ERROR_ARGUMENT,
				"AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set");
}

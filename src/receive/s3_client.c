/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/s3_client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/crypto.h>

#include "receive/curl_calls.h"
#include "receive/sigv4.h"

#define ANSWER_LIMIT (64u << 10) /* bytes of an answer, and of its headers */
#define EMPTY_SHA256 "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
	TRIES = 8,
	PAUSE_LIMIT_MS = 30000,
	ASK_MS = 100, /* how often a pause asks whether to go on */
	CONNECT_SECONDS = 30,
	FAREWELL_SECONDS = 10,
	SLOW_FACTOR = 5, /* by which a slow answer may take longer than a stall */
	HEADERS = 5,
};

struct s3_client {
	struct s3_client_options options;
	struct s3_credentials credentials;
	const struct curl_calls *calls;
	CURL *curl;
	char curl_error[CURL_ERROR_SIZE];
};

/* One try of a request. */
struct exchange {
	struct s3_client *client;
	const struct s3_request *request;
	struct s3_reply *reply;
	struct curl_slist *headers;
	struct digest md5; /* of what is sent from a file; no context: OpenSSL refuses */
	uint64_t sent;
	int file_errno; /* why the file could not be read; -1: it is too short */
	bool etag_is_opaque, is_stopped;
	long os_errno;
	size_t body_size, header_size;
	uint8_t body[ANSWER_LIMIT];
};

static void exchange_free(struct exchange *exchange)
{
	if (!exchange)
		return;
	for (struct curl_slist *item = exchange->headers; item; item = item->next)
		OPENSSL_cleanse(item->data, strlen(item->data)); /* a session token */
	if (exchange->headers)
		exchange->client->calls->slist_free_all(exchange->headers);
	digest_release(&exchange->md5);
	free(exchange);
}

DEFINE_CLEANUP(exchange, struct exchange, exchange_free)
#define AUTO_EXCHANGE CLEANUP(cleanup_exchange)

enum kioku_status s3_client_open(const struct s3_client_options *options, const char *credentials,
				 struct s3_client **out, struct kioku_error *error)
{
	AUTO_S3_CLIENT struct s3_client *client = calloc(1, sizeof(*client));

	*out = NULL;
	if (!client)
		return error_no_memory(error);
	client->options = *options;
	TRY(curl_calls_get(&client->calls, error));
	TRY(s3_credentials_load(credentials, &client->credentials, error));
	client->curl = client->calls->init();
	if (!client->curl)
		return error_no_memory(error);
	*out = TAKE(client);
	return KIOKU_OK;
}

void s3_client_close(struct s3_client *client)
{
	if (!client)
		return;
	s3_credentials_wipe(&client->credentials);
	if (client->curl)
		client->calls->cleanup(client->curl);
	free(client);
}

static bool goes_on(const struct s3_client *client)
{
	return !client->options.goes_on || client->options.goes_on(client->options.user);
}

/* --- what libcurl calls */

static size_t read_body(char *out, size_t size, size_t count, void *user)
{
	struct exchange *exchange = user;
	const struct s3_request *request = exchange->request;
	uint64_t left = request->size - exchange->sent;
	ssize_t got = (ssize_t)(left < size * count ? left : size * count);

	if (request->data) {
		memcpy(out, request->data + exchange->sent, (size_t)got);
	} else if (got > 0) {
		got = pread(request->file, out, (size_t)got,
			    (off_t)(request->offset + exchange->sent));
		if (got <= 0) {
			exchange->file_errno = got < 0 ? errno : -1;
			return CURL_READFUNC_ABORT;
		}
		if (exchange->md5.context)
			digest_add(&exchange->md5, out, (size_t)got);
	}
	exchange->sent += (uint64_t)got;
	return (size_t)got;
}

/* A connection that was kept open turned out to be dead: it begins again. */
static int rewind_body(void *user, curl_off_t offset, int origin)
{
	struct exchange *exchange = user;
	uint8_t ignored[DIGEST_SIZE];

	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	exchange->sent = 0;
	if (exchange->md5.context)
		digest_finish(&exchange->md5, ignored);
	return CURL_SEEKFUNC_OK;
}

static size_t take_body(char *data, size_t size, size_t count, void *user)
{
	struct exchange *exchange = user;

	if (size * count > sizeof(exchange->body) - exchange->body_size)
		return 0; /* an answer that is none */
	memcpy(exchange->body + exchange->body_size, data, size * count);
	exchange->body_size += size * count;
	return size * count;
}

/* Whether a line is the header of that name; if so, its value without white space around it. */
static bool is_header(struct bytes line, const char *name, struct bytes *value)
{
	size_t size = strlen(name);

	if (line.size <= size || strncasecmp((const char *)line.data, name, size) != 0 ||
	    line.data[size] != ':')
		return false;
	*value = (struct bytes){ line.data + size + 1, line.size - size - 1 };
	while (value->size > 0 && strchr(" \t\r\n", value->data[value->size - 1]))
		value->size--;
	for (; value->size > 0 && strchr(" \t", *value->data); value->data++)
		value->size--;
	return true;
}

/* "" if it does not fit, or is not printable. */
static void keep_value(struct bytes value, char *out, size_t size)
{
	size_t used = 0;

	for (; used < value.size && used + 1 < size; used++) {
		if (value.data[used] < ' ' || value.data[used] > '~')
			break;
		out[used] = (char)value.data[used];
	}
	out[used == value.size ? used : 0] = '\0';
}

static size_t take_header(char *data, size_t size, size_t count, void *user)
{
	struct exchange *exchange = user;
	struct bytes line = { (const uint8_t *)data, size * count }, value;

	exchange->header_size += line.size;
	if (exchange->header_size > ANSWER_LIMIT)
		return 0;
	if (bytes_match(line, 0, "HTTP/")) { /* what came before was "100 Continue" or a proxy's */
		exchange->reply->etag[0] = exchange->reply->sha256[0] = '\0';
		exchange->etag_is_opaque = false;
	}
	if (is_header(line, "ETag", &value))
		keep_value(value, exchange->reply->etag, sizeof(exchange->reply->etag));
	else if (is_header(line, "x-amz-meta-sha256", &value))
		keep_value(value, exchange->reply->sha256, sizeof(exchange->reply->sha256));
	else if (is_header(line, "x-amz-server-side-encryption", &value))
		exchange->etag_is_opaque |= !(value.size == 6 && bytes_match(value, 0, "AES256"));
	else if (is_header(line, "x-amz-server-side-encryption-customer-algorithm", &value))
		exchange->etag_is_opaque = true;
	return line.size;
}

static int watch(void *user, curl_off_t expected_in, curl_off_t in, curl_off_t expected_out,
		 curl_off_t out)
{
	struct exchange *exchange = user;

	exchange->is_stopped = !exchange->request->is_farewell && !goes_on(exchange->client);
	return exchange->is_stopped;
}

/* --- making a request */

static bool add_header(struct exchange *exchange, const char *name, const char *value)
{
	struct curl_slist *grown = NULL;
	char *line;

	if (asprintf(&line, "%s: %s", name, value) < 0)
		return false;
	grown = exchange->client->calls->slist_append(exchange->headers, line);
	OPENSSL_cleanse(line, strlen(line));
	free(line);
	if (grown)
		exchange->headers = grown;
	return grown != NULL;
}

static enum kioku_status sign(struct exchange *exchange, struct kioku_error *error)
{
	const struct s3_request *request = exchange->request;
	struct s3_client *client = exchange->client;
	const char *payload = request->sha256 ? request->sha256 : EMPTY_SHA256;
	struct sigv4_header headers[HEADERS];
	size_t count = 0;
	AUTO_FREE char *authorization = NULL;
	time_t now = time(NULL);
	struct tm utc;
	char date[32];

	strftime(date, sizeof(date), "%Y%m%dT%H%M%SZ", gmtime_r(&now, &utc));
	headers[count++] = (struct sigv4_header){ "host", client->options.host };
	headers[count++] = (struct sigv4_header){ "x-amz-content-sha256", payload };
	headers[count++] = (struct sigv4_header){ "x-amz-date", date };
	if (request->meta_sha256)
		headers[count++] =
			(struct sigv4_header){ "x-amz-meta-sha256", request->meta_sha256 };
	if (client->credentials.session_token[0])
		headers[count++] = (struct sigv4_header){ "x-amz-security-token",
							  client->credentials.session_token };
	const struct sigv4_request signing = {
		request->method, request->path, request->query,         headers, count,
		payload,         date,          client->options.region, "s3",
	};
	TRY(sigv4_sign(&signing, client->credentials.access_key, client->credentials.secret_key,
		       &authorization, error));
	for (size_t i = 0; i < count; i++) {
		if (!add_header(exchange, headers[i].name, headers[i].value))
			return error_no_memory(error);
	}
	return add_header(exchange, "Authorization", authorization) ? KIOKU_OK
								    : error_no_memory(error);
}

static void set_link(struct s3_client *client, const struct s3_request *request)
{
	const struct s3_client_options *options = &client->options;
	typeof(curl_easy_setopt) *set = client->calls->setopt;
	CURL *curl = client->curl;

	set(curl, CURLOPT_ERRORBUFFER, client->curl_error);
	set(curl, CURLOPT_NOSIGNAL, 1L);
	set(curl, CURLOPT_USERAGENT, "kioku/" KIOKU_VERSION);
	set(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	set(curl, CURLOPT_FOLLOWLOCATION, 0L);
	set(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	set(curl, CURLOPT_SSL_VERIFYPEER, 1L);
	set(curl, CURLOPT_SSL_VERIFYHOST, 2L);
	if (options->ca) { /* and no other one */
		set(curl, CURLOPT_CAINFO, options->ca);
		set(curl, CURLOPT_CAPATH, NULL);
	}
	if (strncmp(options->origin, "http:", 5) == 0)
		set(curl, CURLOPT_NOPROXY, "*"); /* it would not be loopback */
	set(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	set(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
	set(curl, CURLOPT_LOW_SPEED_TIME,
	    (long)options->stall_seconds * (request->is_slow ? SLOW_FACTOR : 1));
	if (request->is_farewell)
		set(curl, CURLOPT_TIMEOUT, (long)FAREWELL_SECONDS);
}

static enum kioku_status set_up(struct exchange *exchange, struct kioku_error *error)
{
	const struct s3_request *request = exchange->request;
	const struct curl_calls *calls = exchange->client->calls;
	typeof(curl_easy_setopt) *set = calls->setopt;
	CURL *curl = exchange->client->curl;
	AUTO_FREE char *url = NULL;

	if (asprintf(&url, "%s%s%s%s", exchange->client->options.origin, request->path,
		     *request->query ? "?" : "", request->query) < 0) {
		url = NULL;
		return error_no_memory(error);
	}
	TRY(sign(exchange, error));
	calls->reset(curl);
	set_link(exchange->client, request);
	set(curl, CURLOPT_PATH_AS_IS, 1L);
	set(curl, CURLOPT_HTTPHEADER, exchange->headers);
	set(curl, CURLOPT_HEADERFUNCTION, take_header);
	set(curl, CURLOPT_HEADERDATA, exchange);
	set(curl, CURLOPT_WRITEFUNCTION, take_body);
	set(curl, CURLOPT_WRITEDATA, exchange);
	set(curl, CURLOPT_NOPROGRESS, 0L);
	set(curl, CURLOPT_XFERINFOFUNCTION, watch);
	set(curl, CURLOPT_XFERINFODATA, exchange);
	if (strcmp(request->method, "HEAD") == 0) {
		set(curl, CURLOPT_NOBODY, 1L);
	} else if (request->method[0] == 'P') {
		set(curl, CURLOPT_UPLOAD, 1L);
		set(curl, CURLOPT_UPLOAD_BUFFERSIZE, 256l << 10);
		set(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->size);
		set(curl, CURLOPT_READFUNCTION, read_body);
		set(curl, CURLOPT_READDATA, exchange);
		set(curl, CURLOPT_SEEKFUNCTION, rewind_body);
		set(curl, CURLOPT_SEEKDATA, exchange);
		set(curl, CURLOPT_CUSTOMREQUEST, request->method);
	} else {
		set(curl, CURLOPT_CUSTOMREQUEST, request->method);
	}
	return set(curl, CURLOPT_URL, url) == CURLE_OK ? KIOKU_OK : error_no_memory(error);
}

/* --- what came of it. *again: it may be another time. */

static enum kioku_status judge_link(struct exchange *exchange, CURLcode code, bool *again,
				    struct kioku_error *error)
{
	struct s3_client *client = exchange->client;
	const char *why =
		client->curl_error[0] ? client->curl_error : client->calls->strerror(code);

	for (char *c = client->curl_error; *c; c++)
		*c = *c < ' ' || *c > '~' ? '?' : *c;
	if (exchange->is_stopped)
		return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
	if (exchange->file_errno > 0) {
		errno = exchange->file_errno;
		return error_os(error, "cannot read the file");
	}
	if (exchange->file_errno < 0)
		return error_set(error, KIOKU_ERROR_CORRUPT, "the file became shorter meanwhile");
	if (code == CURLE_OUT_OF_MEMORY)
		return error_no_memory(error);
	if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the store's certificate is not one to trust: %s", why);
	*again = code != CURLE_WRITE_ERROR;
	error_set(error, KIOKU_ERROR_OS, "%s",
		  *again ? why : "the store answers with more than makes sense");
	if (error)
		error->os_errno = exchange->os_errno ? (int)exchange->os_errno : EIO;
	return KIOKU_ERROR_OS;
}

static bool is_passing(long http_status, const char *code)
{
	static const char *const codes[] = {
		"SlowDown",   "RequestTimeout",      "InternalError",        "ServiceUnavailable",
		"Throttling", "ThrottlingException", "RequestLimitExceeded", "OperationAborted",
	};

	for (size_t i = 0; i < COUNT(codes); i++) {
		if (strcmp(code, codes[i]) == 0)
			return true;
	}
	return http_status == 408 || http_status == 429 ||
	       (http_status >= 500 && http_status != 501);
}

static enum kioku_status judge_answer(struct exchange *exchange, bool *again,
				      struct kioku_error *error)
{
	struct s3_reply *reply = exchange->reply;
	const struct s3_answer *answer = &reply->answer;
	const char *root = exchange->request->root;
	bool is_whole = s3_answer_decode((struct bytes){ exchange->body, exchange->body_size },
					 &reply->answer);
	bool is_error = strcmp(answer->root, "Error") == 0;
	bool is_good = reply->http_status >= 200 && reply->http_status < 300;

	if (is_good && !is_error && (!root || (is_whole && strcmp(answer->root, root) == 0)))
		return KIOKU_OK;
	/* An answer that begins well and is none: cut off, or something between us and the store. */
	*again = is_passing(reply->http_status, answer->code) || (is_good && !is_error);
	if (is_error && answer->code[0])
		return error_set(error, KIOKU_ERROR_REFUSED, "the store says %s: %s", answer->code,
				 answer->message);
	if (is_good)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the store answers with something that is not S3's");
	if (reply->http_status >= 300 && reply->http_status < 400)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "the store points elsewhere (HTTP %ld); is the region right?",
				 reply->http_status);
	return error_set(error, KIOKU_ERROR_REFUSED, "the store answers with HTTP %ld",
			 reply->http_status);
}

/* An ETag of 32 digits in quotes is the MD5, unless the store says that it encrypts with a key. */
static enum kioku_status compare_etag(struct exchange *exchange, struct kioku_error *error)
{
	const char *etag = exchange->reply->etag;
	char md5[DIGEST_HEX_SIZE];

	if (!*etag)
		return error_set(error, KIOKU_ERROR_REFUSED, "the store gives no ETag");
	etag += *etag == '"';
	size_t size = strcspn(etag, "\"");
	if (exchange->etag_is_opaque || !exchange->md5.context || size != 32 ||
	    strspn(etag, "0123456789abcdefABCDEF") != size ||
	    !digest_finish_hex(&exchange->md5, md5) || strncasecmp(etag, md5, size) == 0)
		return KIOKU_OK;
	return error_set(error, KIOKU_ERROR_CORRUPT,
			 "the store has something else (MD5 %.32s) than was sent (MD5 %s)", etag,
			 md5);
}

static enum kioku_status attempt(struct s3_client *client, const struct s3_request *request,
				 struct s3_reply *reply, bool *again, struct kioku_error *error)
{
	AUTO_EXCHANGE struct exchange *exchange = calloc(1, sizeof(*exchange));
	bool has_file = request->method[0] == 'P' && !request->data;
	curl_off_t size = -1;

	*again = false;
	if (!exchange)
		return error_no_memory(error);
	exchange->client = client;
	exchange->request = request;
	exchange->reply = reply;
	if (has_file && digest_init(&exchange->md5, KIOKU_DIGEST_MD5, NULL) != KIOKU_OK)
		digest_release(&exchange->md5); /* what OpenSSL refuses is not compared */
	TRY(set_up(exchange, error));
	client->curl_error[0] = '\0';
	CURLcode code = client->calls->perform(client->curl);
	client->calls->getinfo(client->curl, CURLINFO_RESPONSE_CODE, &reply->http_status);
	client->calls->getinfo(client->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &size);
	client->calls->getinfo(client->curl, CURLINFO_OS_ERRNO, &exchange->os_errno);
	/* Nothing of the exchange may be pointed to when it is gone. */
	client->calls->reset(client->curl);
	reply->size = size > 0 ? (uint64_t)size : 0;
	if (code != CURLE_OK)
		return judge_link(exchange, code, again, error);
	TRY(judge_answer(exchange, again, error));
	if (!has_file)
		return KIOKU_OK;
	enum kioku_status compared = compare_etag(exchange, error);
	*again = compared != KIOKU_OK;
	return compared;
}

/* Half to all of the pause: many receivers that lost one store do not come back at once. */
static enum kioku_status pause_before(struct s3_client *client, unsigned try,
				      struct kioku_error *error)
{
	uint64_t pause = (uint64_t)client->options.pause_ms << try;
	struct timespec now, wait = { .tv_nsec = ASK_MS * 1000000l };

	pause = pause < PAUSE_LIMIT_MS ? pause : PAUSE_LIMIT_MS;
	clock_gettime(CLOCK_MONOTONIC, &now);
	pause -= pause * (uint64_t)(now.tv_nsec / 1000 % 1000) / 2000;
	for (uint64_t waited = 0; waited < pause; waited += ASK_MS) {
		if (!goes_on(client))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
		nanosleep(&wait, NULL);
	}
	return KIOKU_OK;
}

enum kioku_status s3_request(struct s3_client *client, const struct s3_request *request,
			     struct s3_reply *reply, struct kioku_error *error)
{
	bool again = false;

	for (unsigned try = 0;; try++) {
		*reply = (struct s3_reply){ 0 };
		if (!request->is_farewell && !goes_on(client))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped");
		enum kioku_status status = attempt(client, request, reply, &again, error);
		if (status == KIOKU_OK || !again || request->is_farewell || try + 1 == TRIES)
			return status;
		TRY(pause_before(client, try, error));
	}
}

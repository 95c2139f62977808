/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What uploading needs that takes no server: tests/cli/test_store.py has one. */
#include <fcntl.h>

#include "format/s3_format.h"
#include "receive/s3_credentials.h"
#include "receive/sigv4.h"
#include "receive/store_place.h"
#include "receive/upload.h"
#include "tap.h"

#define EMPTY        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* --- signatures: the examples of the Amazon S3 API Reference, "Authenticating Requests" */

#define HOST                                             \
	{                                                \
		"host", "examplebucket.s3.amazonaws.com" \
	}
#define DATE                                     \
	{                                        \
		"x-amz-date", "20130524T000000Z" \
	}

static char *sign(const char *method, const char *path, const char *query,
		  const struct sigv4_header *headers, size_t count, const char *payload)
{
	const struct sigv4_request request = {
		method, path, query, headers, count, payload, "20130524T000000Z", "us-east-1", "s3",
	};
	char *out = NULL;

	CHECK_EQUAL(sigv4_sign(&request, "AKIAIOSFODNN7EXAMPLE",
			       "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", &out, NULL),
		    KIOKU_OK);
	return out;
}

static void signature_get_object(void)
{
	static const struct sigv4_header headers[] = {
		HOST,
		{ "range", "bytes=0-9" },
		{ "x-amz-content-sha256", EMPTY },
		DATE,
	};
	char *text = sign("GET", "/test.txt", "", headers, COUNT(headers), EMPTY);

	CHECK(strcmp(text,
		     "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
		     "aws4_request,SignedHeaders=host;range;x-amz-content-sha256;x-amz-date,"
		     "Signature="
		     "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41") == 0);
	free(text);
}

static void signature_put_object(void)
{
	static const char payload[] =
		"44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072";
	static const struct sigv4_header headers[] = {
		{ "date", "Fri, 24 May 2013 00:00:00 GMT" },
		HOST,
		{ "x-amz-content-sha256", payload },
		DATE,
		{ "x-amz-storage-class", "REDUCED_REDUNDANCY" },
	};
	char *path = sigv4_encode("/test$file.text", true);
	char *text = sign("PUT", path, "", headers, COUNT(headers), payload);

	CHECK_SAYS(text, "Signature="
			 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
	free(text);
	free(path);
}

static void signature_queries(void)
{
	static const struct sigv4_header headers[] = {
		HOST,
		{ "x-amz-content-sha256", EMPTY },
		DATE,
	};
	char *lifecycle = sign("GET", "/", "lifecycle=", headers, COUNT(headers), EMPTY);
	char *list = sign("GET", "/", "max-keys=2&prefix=J", headers, COUNT(headers), EMPTY);

	CHECK_SAYS(lifecycle, "Signature="
			      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
	CHECK_SAYS(list, "Signature="
			 "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
	free(lifecycle);
	free(list);
}

static void encoding(void)
{
	char *path = sigv4_encode("/a b/\xc3\xa4+~=&%", true);
	char *name = sigv4_encode("A-z_0.9/", false);

	CHECK(strcmp(path, "/a%20b/%C3%A4%2B~%3D%26%25") == 0);
	CHECK(strcmp(name, "A-z_0.9%2F") == 0);
	free(path);
	free(name);
}

/* --- places */

static void place(const char *url, const char *path)
{
	struct store_place place;
	struct kioku_error error = { 0 };

	if (store_place_parse(url, NULL, &place, &error) != KIOKU_OK)
		tap_fail(__FILE__, __LINE__, "%s: %s", url, error.message);
	char *whole = store_place_path(&place, "host_1", "a b");
	CHECK(strncmp(url, place.origin, strlen(place.origin)) == 0);
	CHECK_SAYS(place.origin, place.host);
	CHECK(strcmp(whole, path) == 0);
	CHECK(strcmp(place.region, "us-east-1") == 0);
	free(whole);
	store_place_release(&place);
}

static void places(void)
{
	place("https://s3.example.org/bucket", "/bucket/host_1/a%20b");
	place("https://s3.example.org:9000/bucket/", "/bucket/host_1/a%20b");
	place("https://192.0.2.1/bucket/case%2017/x=y", "/bucket/case%2017/x%3Dy/host_1/a%20b");
	place("https://[2001:db8::1]:443/b/p", "/b/p/host_1/a%20b");
	place("http://127.9.9.9:80/b", "/b/host_1/a%20b");
	place("http://[::1]:80/b", "/b/host_1/a%20b");
	place("http://localhost:80/b", "/b/host_1/a%20b");
}

static void no_places(void)
{
	static const char *const urls[] = {
		"bucket",
		"ftp://host/bucket",
		"https://host",
		"https://host/",
		"https:///bucket",
		"https://user:secret@host/bucket",
		"https://host/bucket?x=y",
		"https://host/b#c",
		"https://host/b/../c",
		"https://host/b//c",
		"https://host/b/%2e%2E/c",
		"https://host/b/%0a",
		"https://host/b/%4",
		"https://host:0/b",
		"https://ho st/b",
		"https://[fe80::1%eth0]/b",
		"http://192.0.2.1/b",
		"http://s3.example.org/b",
		"http://localhost.example.org/b",
		"http://[2001:db8::1]/b",
		"http://127.evil.org/b",
	};

	for (size_t i = 0; i < COUNT(urls); i++) {
		struct store_place place;
		struct kioku_error error = { 0 };
		if (store_place_parse(urls[i], NULL, &place, &error) != KIOKU_ERROR_ARGUMENT)
			tap_fail(__FILE__, __LINE__, "%s is a place", urls[i]);
		CHECK(!strstr(error.message, "secret"));
		store_place_release(&place);
	}
	struct store_place place;
	CHECK_EQUAL(store_place_parse("https://host/b", "a b", &place, NULL), KIOKU_ERROR_ARGUMENT);
	store_place_release(&place);
}

static void folder_names(void)
{
	static const char *const names[][2] = {
		{ "a", "a" },     { "/x/a/", "a" }, { "./a//", "a" }, { ".", NULL },
		{ "a/..", NULL }, { "/", NULL },    { "", NULL },
	};

	for (size_t i = 0; i < COUNT(names); i++) {
		char *name = store_folder_name(names[i][0]);
		CHECK(name ? names[i][1] && strcmp(name, names[i][1]) == 0 : !names[i][1]);
		free(name);
	}
}

/* --- credentials */

static enum kioku_status load(const char *text, struct s3_credentials *out,
			      struct kioku_error *error)
{
	char path[] = "/tmp/kioku-credentials-XXXXXX";
	int file = mkstemp(path);

	CHECK(file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text));
	close(file);
	enum kioku_status status = s3_credentials_load(path, out, error);
	unlink(path);
	CHECK(!error || !strstr(error->message, "SECRET"));
	return status;
}

static void credential_files(void)
{
	static const struct s3_credentials nothing;
	struct s3_credentials got;
	struct kioku_error error = { 0 };

	CHECK_EQUAL(load("# comment\n[other]\naws_access_key_id=no\n[default]\r\n"
			 "aws_access_key_id = AKID \r\n aws_secret_access_key=SECRET/+=\n"
			 ";aws_session_token=x\naws_session_token = to==ken\nregion = x\n[more]\n"
			 "aws_secret_access_key=no",
			 &got, &error),
		    KIOKU_OK);
	CHECK(strcmp(got.access_key, "AKID") == 0);
	CHECK(strcmp(got.secret_key, "SECRET/+=") == 0);
	CHECK(strcmp(got.session_token, "to==ken") == 0);
	s3_credentials_wipe(&got);
	CHECK(memcmp(&got, &nothing, sizeof(got)) == 0);
	CHECK_EQUAL(load("aws_access_key_id = a\naws_secret_access_key=SECRET\n", &got, &error),
		    KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(load("[default]\naws_access_key_id = a\naws_secret_access_key=SEC RET\n", &got,
			 &error),
		    KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(s3_credentials_load("/dev/null/nothing", &got, &error), KIOKU_ERROR_OS);
}

static void credentials_of_the_environment(void)
{
	struct s3_credentials got;
	struct kioku_error error = { 0 };

	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	unsetenv("AWS_SECRET_ACCESS_KEY");
	unsetenv("AWS_SESSION_TOKEN");
	CHECK_EQUAL(s3_credentials_load(NULL, &got, &error), KIOKU_ERROR_ARGUMENT);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRET\r\nx-evil: 1", 1);
	CHECK_EQUAL(s3_credentials_load(NULL, &got, &error), KIOKU_ERROR_ARGUMENT);
	CHECK(!strstr(error.message, "SECRET\r"));
	setenv("AWS_SECRET_ACCESS_KEY", "SECRET", 1);
	CHECK_EQUAL(s3_credentials_load(NULL, &got, &error), KIOKU_OK);
	CHECK(!got.session_token[0]);
}

/* --- answers */

static bool decode(const char *text, struct s3_answer *out)
{
	return s3_answer_decode((struct bytes){ (const uint8_t *)text, strlen(text) }, out);
}

static void answers(void)
{
	struct s3_answer answer;

	CHECK(decode("<?xml version=\"1.0\"?>\n <!-- <Error> -->\n<R "
		     "a='>'><X><UploadId>no</UploadId></X>"
		     "<UploadId>a&amp;&lt;&#34;&#x41;</UploadId><ETag>&quot;1-2&quot;</ETag>"
		     "<UploadId>second</UploadId></R>",
		     &answer));
	CHECK(strcmp(answer.root, "R") == 0);
	CHECK(strcmp(answer.upload_id, "a&<\"A") == 0);
	CHECK(strcmp(answer.etag, "\"1-2\"") == 0);
	CHECK(decode("\n\n<Error><Code>SlowDown</Code><Message>a\nb\x1b[1m</Message></Error>",
		     &answer));
	CHECK(strcmp(answer.code, "SlowDown") == 0);
	CHECK(strcmp(answer.message, "a b?[1m") == 0);
}

static void odd_answers(void)
{
	static const char *const texts[] = {
		"",
		"<",
		"x<Error></Error>",
		"<Error>",
		"<Error",
		"</Error>",
		"<Error/>",
		"<Error></",
		"<!DOCTYPE x><Error></Error>",
		"<!-- <Error></Error>",
		"<Error a='></Error>",
		"<Error <Code>></Error>",
		"{\"Error\":1}",
	};
	struct s3_answer answer;

	for (size_t i = 0; i < COUNT(texts); i++) {
		if (decode(texts[i], &answer))
			tap_fail(__FILE__, __LINE__, "%s is an answer", texts[i]);
	}
	/* What would be used must be whole. */
	CHECK(decode("<R><UploadId>a\xff</UploadId><ETag>&nbsp;</ETag></R>", &answer));
	CHECK(!answer.upload_id[0] && !answer.etag[0]);
}

/* --- opening */

static void opening(void)
{
	struct store_options options = { .url = "https://host/bucket", .ca = "/dev/null/nothing" };
	struct store *store;
	struct kioku_error error = { 0 };
	char url[200];

	setenv("AWS_ACCESS_KEY_ID", "AKID", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SECRET", 1);
#ifndef HAVE_CURL
	CHECK_EQUAL(store_open(&options, &store, &error), KIOKU_ERROR_UNSUPPORTED);
	SKIP("made without libcurl");
#endif
	CHECK_EQUAL(store_open(&options, &store, &error), KIOKU_ERROR_OS);
	options.ca = NULL;
	options.url = "http://192.0.2.1/bucket";
	CHECK_EQUAL(store_open(&options, &store, &error), KIOKU_ERROR_ARGUMENT);
	options.url = "https://host/bucket/x y/";
	CHECK_EQUAL(store_open(&options, &store, &error), KIOKU_OK);
	store_url(store, "out/host_2026/", url, sizeof(url));
	CHECK(strcmp(url, "https://host/bucket/x%20y/host_2026/") == 0);
	CHECK_EQUAL(store_upload(store, "/", NULL, NULL, NULL, &error), KIOKU_ERROR_ARGUMENT);
	CHECK_EQUAL(store_upload(store, "/dev/null/nothing", NULL, NULL, NULL, &error),
		    KIOKU_ERROR_OS);
	store_close(store);
	unsetenv("AWS_SECRET_ACCESS_KEY");
	CHECK_EQUAL(store_open(&options, &store, &error), KIOKU_ERROR_ARGUMENT);
}

TAP_MAIN(TEST(signature_get_object), TEST(signature_put_object), TEST(signature_queries),
	 TEST(encoding), TEST(places), TEST(no_places), TEST(folder_names), TEST(credential_files),
	 TEST(credentials_of_the_environment), TEST(answers), TEST(odd_answers), TEST(opening))

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libcurl, loaded when a store is opened first: it brings some thirty libraries with it, and they would
 * take most of the time in which every command starts, none of which but "receive --store" needs them.
 */
#ifndef RECEIVE_CURL_CALLS_H
#define RECEIVE_CURL_CALLS_H

#include <curl/curl.h>

#include "base/error.h"

struct curl_calls {
	typeof(curl_global_init) *global_init;
	typeof(curl_easy_init) *init;
	typeof(curl_easy_cleanup) *cleanup;
	typeof(curl_easy_reset) *reset;
	typeof(curl_easy_setopt) *setopt;
	typeof(curl_easy_perform) *perform;
	typeof(curl_easy_getinfo) *getinfo;
	typeof(curl_easy_strerror) *strerror;
	typeof(curl_slist_append) *slist_append;
	typeof(curl_slist_free_all) *slist_free_all;
};

/* For the life of the program; by any thread. Errors: UNSUPPORTED (there is no libcurl that has them all). */
enum kioku_status curl_calls_get(const struct curl_calls **out, struct kioku_error *error);

#endif

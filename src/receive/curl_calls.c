/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "receive/curl_calls.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define LIBRARY "libcurl.so.4"
#define CALL(member, function)                                \
	{                                                     \
		function, offsetof(struct curl_calls, member) \
	}

static const struct {
	const char *name;
	size_t offset;
} functions[] = {
	CALL(global_init, "curl_global_init"),   CALL(init, "curl_easy_init"),
	CALL(cleanup, "curl_easy_cleanup"),      CALL(reset, "curl_easy_reset"),
	CALL(setopt, "curl_easy_setopt"),        CALL(perform, "curl_easy_perform"),
	CALL(getinfo, "curl_easy_getinfo"),      CALL(strerror, "curl_easy_strerror"),
	CALL(slist_append, "curl_slist_append"), CALL(slist_free_all, "curl_slist_free_all"),
};

static struct curl_calls calls;
static bool is_loaded;

/* Never closed: libcurl's own libraries have handlers for the end of the program. */
static void load(void)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		void *function = library ? dlsym(library, functions[i].name) : NULL;

		if (!function)
			return;
		memcpy((char *)&calls + functions[i].offset, &function, sizeof(function));
	}
	is_loaded = calls.global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
}

enum kioku_status curl_calls_get(const struct curl_calls **out, struct kioku_error *error)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, load);
	*out = &calls;
	return is_loaded ? KIOKU_OK
			 : error_set(error, KIOKU_ERROR_UNSUPPORTED,
				     "uploading to a store needs " LIBRARY
				     " (Debian's package libcurl4), which cannot be loaded");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * store_upload() for test_store.py, with what the tool has no options for.
 * usage: upload URL FOLDER REGION CREDENTIALS CA PART PAUSE_MS STALL; "-": none. SIGINT stops it.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "receive/upload.h"

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
	stopped = 1;
}

static bool goes_on(void *user)
{
	return !stopped;
}

static const char *given(const char *argument)
{
	return strcmp(argument, "-") == 0 ? NULL : argument;
}

int main(int argc, char **argv)
{
	AUTO_STORE struct store *store = NULL;
	struct kioku_error error = { 0 };
	char url[1024];

	if (argc != 9)
		return 2;
	const struct store_options options = {
		.url = argv[1],
		.region = given(argv[3]),
		.credentials = given(argv[4]),
		.ca = given(argv[5]),
		.part_size = strtoull(argv[6], NULL, 10),
		.pause_ms = (unsigned)atoi(argv[7]),
		.stall_seconds = (unsigned)atoi(argv[8]),
	};
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, stop);
	enum kioku_status status = store_open(&options, &store, &error);
	if (status == KIOKU_OK)
		status = store_upload(store, argv[2], NULL, goes_on, NULL, &error);
	if (status != KIOKU_OK) {
		fprintf(stderr, "%s: %s\n", kioku_status_name(status), error.message);
		return 1;
	}
	store_url(store, argv[2], url, sizeof(url));
	puts(url);
	return 0;
}

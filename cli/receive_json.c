/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>
#include <time.h>

#include "escape.h"
#include "json.h"
#include "receive_json.h"

static const char *const names[] = {
	[KIOKU_RECEIVE_LISTENING] = "listening",   [KIOKU_RECEIVE_URL] = "url",
	[KIOKU_RECEIVE_REFUSED] = "refused",       [KIOKU_RECEIVE_STARTED] = "started",
	[KIOKU_RECEIVE_PROGRESS] = "progress",     [KIOKU_RECEIVE_BROKEN] = "broken",
	[KIOKU_RECEIVE_RESUMED] = "resumed",       [KIOKU_RECEIVE_DONE] = "done",
	[KIOKU_RECEIVE_FAILED] = "failed",         [KIOKU_RECEIVE_STORED] = "stored",
	[KIOKU_RECEIVE_NOT_STORED] = "not_stored", [KIOKU_RECEIVE_STORING] = "storing",
};

static void put_time(struct json *json)
{
	char text[32];
	time_t seconds = time(NULL);

	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
	json_string(json, "time", text);
}

static void put_text(struct json *json, const char *key, const char *text)
{
	if (text && *text)
		json_text(json, key, text, strlen(text));
}

static void put_transfer(struct json *json, const struct kioku_receive_event *event)
{
	json_string(json, "transfer", event->transfer);
	json_text(json, "host", event->host, strlen(event->host));
	json_text(json, "folder", event->folder, strlen(event->folder));
	json_text(json, "image", event->image, strlen(event->image));
	json_number(json, "received", event->received);
	json_number(json, "expected", event->expected);
	json_number(json, "repeated", event->repeated);
	json_number(json, "breaks", event->breaks);
	json_decimal(json, "seconds", event->seconds);
	if (event->kind == KIOKU_RECEIVE_STORING) {
		json_number(json, "stored", event->stored);
		json_number(json, "size", event->size);
	}
	if (event->kind != KIOKU_RECEIVE_DONE)
		return;
	json_boolean(json, "complete", event->complete);
	json_number(json, "lost", event->lost);
}

void receive_json_print(const struct kioku_receive_event *event, const char *command)
{
	struct json json = { .file = stdout, .ascii = !locale_is_utf8() };

	json_open(&json, NULL, '{');
	put_time(&json);
	json_string(&json, "event", names[event->kind]);
	put_text(&json, "address", event->address);
	put_text(&json, "url", event->url);
	put_text(&json, "command", command);
	put_text(&json, "peer", event->peer);
	if (*event->transfer)
		put_transfer(&json, event);
	put_text(&json, "sha256", event->sha256);
	if (event->kind == KIOKU_RECEIVE_FAILED || event->kind == KIOKU_RECEIVE_NOT_STORED)
		json_string(&json, "status", kioku_status_name(event->status));
	if (event->kind != KIOKU_RECEIVE_STORED)
		put_text(&json, "message", event->message);
	json_close(&json, '}');
	putchar('\n');
	fflush(stdout);
}

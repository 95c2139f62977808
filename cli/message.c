/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "escape.h"
#include "message.h"

/* A damaged image can cause one complaint a page: past this many of one shape they are counted. */
enum { SHOWN_PER_SHAPE = 20, SHAPES = 64 };

static const char *const severity_names[] = { "note", "warning", "gap" };

/*
 * stderr belongs to the process, and so does what was said there: this is the tool's only state
 * outside its session. The last shape takes whatever finds no other place.
 */
static struct {
	bool gap;
	kioku_diagnostic_fn *listener;
	void *listener_user;
	size_t shape_count;
	struct shape {
		uint64_t hash;
		uint64_t said;
		enum kioku_severity severity;
	} shapes[SHAPES];
} messages;

static void say(const char *kind, const char *text)
{
	fprintf(stderr, "kioku: %s: ", kind);
	escape_write(stderr, text, strlen(text), !locale_is_utf8());
	putc('\n', stderr);
}

static void format_and_say(const char *kind, const char *format, va_list arguments)
{
	char text[1024];

	vsnprintf(text, sizeof(text), format, arguments);
	say(kind, text);
}

enum exit_status message_error(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	format_and_say("error", format, arguments);
	va_end(arguments);
	return STATUS_FAILED;
}

enum exit_status message_usage(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	format_and_say("error", format, arguments);
	va_end(arguments);
	return STATUS_USAGE;
}

/* A hash of the message without its numbers and quoted names, which is what repeats. */
static uint64_t shape_hash(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325; /* FNV-1a */

	while (*text) {
		if (text[0] == '0' && text[1] == 'x')
			text += 2 + strspn(text + 2, "0123456789abcdefABCDEF");
		else if (isdigit((unsigned char)*text))
			text += strspn(text, "0123456789");
		else if ((*text == '"' || *text == '\'') && strchr(text + 1, *text))
			text = strchr(text + 1, *text) + 1;
		else
			hash = (hash ^ (unsigned char)*text++) * 0x100000001b3;
	}
	return hash;
}

static struct shape *find_shape(enum kioku_severity severity, const char *text)
{
	uint64_t hash = shape_hash(text);
	size_t index = 0;

	while (index < messages.shape_count &&
	       (messages.shapes[index].hash != hash || messages.shapes[index].severity != severity))
		index++;
	if (index == SHAPES)
		return &messages.shapes[SHAPES - 1];
	if (index == messages.shape_count)
		messages.shapes[messages.shape_count++] = (struct shape){ hash, 0, severity };
	return &messages.shapes[index];
}

void message_diagnostic(void *user, enum kioku_severity severity, const char *message)
{
	messages.gap |= severity == KIOKU_GAP;
	if (messages.listener)
		messages.listener(messages.listener_user, severity, message);
	if (find_shape(severity, message)->said++ < SHOWN_PER_SHAPE)
		say(severity_names[severity], message);
}

void message_finding(enum kioku_severity severity, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	message_diagnostic(NULL, severity, text);
}

void message_listen(kioku_diagnostic_fn *listener, void *user)
{
	messages.listener = listener;
	messages.listener_user = user;
}

bool message_any_gap(void)
{
	return messages.gap;
}

void message_flush(void)
{
	uint64_t held[3] = { 0 };

	for (size_t i = 0; i < messages.shape_count; i++)
		if (messages.shapes[i].said > SHOWN_PER_SHAPE)
			held[messages.shapes[i].severity] +=
				messages.shapes[i].said - SHOWN_PER_SHAPE;
	for (size_t severity = 0; severity < 3; severity++)
		if (held[severity] > 0)
			fprintf(stderr, "kioku: %s: and %llu more like these\n",
				severity_names[severity], (unsigned long long)held[severity]);
}

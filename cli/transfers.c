/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "amount.h"
#include "escape.h"
#include "message.h"
#include "transfers.h"

enum {
	NAME_SIZE = 40, /* of a session in hexadecimal, with some room */
	HOST_COLUMN = 24,
	REFUSED_A_MINUTE = 20, /* connections that are told one by one */
	MINUTE = 60,
};

static const double REDRAW_SECONDS = 0.25;

struct transfer {
	char name[NAME_SIZE], host[256], state[16];
	uint64_t amount, whole, rated_at;
	double rate, rated;
};

void transfers_start(struct transfers *transfers)
{
	*transfers = (struct transfers){ .is_terminal = isatty(STDERR_FILENO),
					 .ascii = !locale_is_utf8() };
}

/* --- lines */

/* "kioku: 2026-11-21T16:00:00Z: ...", escaped. */
__attribute__((format(printf, 2, 3))) static void log_line(struct transfers *transfers,
							   const char *format, ...)
{
	char text[1024], when[32];
	time_t seconds = time(NULL);
	va_list arguments;

	transfers_hide(transfers);
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime(&seconds));
	fprintf(stderr, "kioku: %s: ", when);
	escape_write(stderr, text, strlen(text), transfers->ascii);
	putc('\n', stderr);
}

static void say_refused(struct transfers *transfers, const struct kioku_receive_event *event)
{
	const char *peer = *event->peer ? event->peer : "receiver";

	if (++transfers->refused <= REFUSED_A_MINUTE)
		log_line(transfers, "%s: %s", peer, event->message);
}

/* A flood must not fill the disk that the log goes to. */
static void count_refused(struct transfers *transfers, double time)
{
	if (time - transfers->minute < MINUTE)
		return;
	if (transfers->refused > REFUSED_A_MINUTE)
		log_line(transfers, "%u more connections were refused within a minute",
			 transfers->refused - REFUSED_A_MINUTE);
	transfers->refused = 0;
	transfers->minute = time;
}

static void say_done(struct transfers *transfers, const struct kioku_receive_event *event)
{
	char bytes[32], time[32], lost[32], gaps[64] = "";

	amount_text((double)event->received, bytes, sizeof(bytes));
	duration_text(event->seconds, time, sizeof(time));
	if (event->lost > 0)
		snprintf(gaps, sizeof(gaps), ", %s of memory lost",
			 amount_text((double)event->lost, lost, sizeof(lost)));
	log_line(transfers, "%s: %s: %s/%s, %s in %s%s", event->host,
		 event->complete ? "done" : "done, but the image is not whole", event->folder,
		 event->image, bytes, time, gaps);
}

static void say(struct transfers *transfers, const struct kioku_receive_event *event)
{
	char bytes[32];

	amount_text((double)event->received, bytes, sizeof(bytes));
	switch (event->kind) {
	case KIOKU_RECEIVE_LISTENING: log_line(transfers, "listening at %s", event->address); break;
	case KIOKU_RECEIVE_REFUSED: say_refused(transfers, event); break;
	case KIOKU_RECEIVE_STARTED:
		log_line(transfers, "%s: started from %s, into %s", event->host, event->peer,
			 event->folder);
		break;
	case KIOKU_RECEIVE_BROKEN:
		log_line(transfers, "%s: the link is lost after %s: %s", event->host, bytes,
			 event->message);
		break;
	case KIOKU_RECEIVE_RESUMED:
		log_line(transfers, "%s: goes on from %s, after %s", event->host, event->peer,
			 bytes);
		break;
	case KIOKU_RECEIVE_DONE: say_done(transfers, event); break;
	case KIOKU_RECEIVE_FAILED:
		log_line(transfers, "%s: failed after %s, in %s: %s", event->host, bytes,
			 event->folder, event->message);
		break;
	case KIOKU_RECEIVE_STORED:
		log_line(transfers, "%s: uploaded to %s", event->host, event->url);
		break;
	case KIOKU_RECEIVE_NOT_STORED:
		log_line(transfers, "%s: not uploaded, tried again at the next start: %s",
			 event->host, event->message);
		break;
	case KIOKU_RECEIVE_URL:
	case KIOKU_RECEIVE_PROGRESS:
	case KIOKU_RECEIVE_STORING: break;
	}
}

/* --- the table */

/* Bytes that have gone where they are going. */
static uint64_t amount_of(const struct kioku_receive_event *event)
{
	return event->kind == KIOKU_RECEIVE_STORING ? event->stored : event->received;
}

static struct transfer *find(struct transfers *transfers, const struct kioku_receive_event *event)
{
	for (size_t i = 0; i < transfers->count; i++)
		if (strcmp(transfers->items[i].name, event->transfer) == 0)
			return &transfers->items[i];
	struct transfer *grown =
		reallocarray(transfers->items, transfers->count + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	transfers->items = grown;
	struct transfer *added = &grown[transfers->count++];
	*added = (struct transfer){ .rated_at = amount_of(event), .rated = clock_now() };
	snprintf(added->name, sizeof(added->name), "%s", event->transfer);
	snprintf(added->host, sizeof(added->host), "%s", event->host);
	return added;
}

static void drop(struct transfers *transfers, struct transfer *transfer)
{
	size_t index = (size_t)(transfer - transfers->items);

	memmove(transfer, transfer + 1, (--transfers->count - index) * sizeof(*transfer));
}

/* The average over the last seconds. */
static void rate(struct transfer *transfer, uint64_t amount)
{
	double time = clock_now(), passed = time - transfer->rated;

	transfer->amount = amount;
	if (passed < REDRAW_SECONDS)
		return;
	double latest = (double)(amount - transfer->rated_at) / passed;
	double weight = passed / (passed + (transfer->rate > 0 ? 5 : 0));
	transfer->rate += weight * (latest - transfer->rate);
	transfer->rated = time;
	transfer->rated_at = amount;
}

static void follow(struct transfers *transfers, const struct kioku_receive_event *event)
{
	struct transfer *transfer = *event->transfer ? find(transfers, event) : NULL;
	bool is_lost = event->kind == KIOKU_RECEIVE_BROKEN;
	bool is_upload = event->kind == KIOKU_RECEIVE_STORING;

	if (!transfer)
		return;
	if (event->kind >= KIOKU_RECEIVE_DONE) {
		drop(transfers, transfer);
		return;
	}
	transfer->whole = is_upload ? event->size : event->expected;
	if (amount_of(event) < transfer->rated_at)
		transfer->rated_at = amount_of(event);
	rate(transfer, amount_of(event));
	strcpy(transfer->state, is_lost ? "link lost" : is_upload ? "uploading" : "receiving");
	if (is_lost)
		transfer->rate = 0;
}

static void put_host(const struct transfers *transfers, const char *host)
{
	/* What is printable already; only its length is to be bounded. */
	size_t size = strnlen(host, HOST_COLUMN);
	unsigned width = escape_write(stderr, host, size, transfers->ascii);

	fprintf(stderr, "%*s", width < HOST_COLUMN ? (int)(HOST_COLUMN - width) : 0, "");
}

static void draw_row(const struct transfers *transfers, const struct transfer *transfer)
{
	char amount[32], speed[32], percent[16] = "";

	/* Of memory: what comes may be less, since it is packed, or a little more. */
	if (transfer->whole > 0)
		snprintf(percent, sizeof(percent), "%3.0f %%",
			 100.0 * (double)transfer->amount / (double)transfer->whole);
	amount_text((double)transfer->amount, amount, sizeof(amount));
	amount_text(transfer->rate, speed, sizeof(speed));
	fputs("\r  ", stderr);
	put_host(transfers, transfer->host);
	fprintf(stderr, " %10s %6s %10s/s  %s\033[K\n", amount, percent, speed, transfer->state);
}

static void draw(struct transfers *transfers, double time)
{
	struct winsize window = { 0 };

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row == 0)
		window = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	transfers_hide(transfers);
	transfers->drawn = time;
	/* What does not fit could not be drawn again in its place. */
	size_t room = window.ws_row > 4 ? window.ws_row - 3u : 1;
	if (window.ws_col < HOST_COLUMN + 46)
		room = 0;
	size_t shown = transfers->count < room ? transfers->count : room;
	for (size_t i = 0; i < shown; i++)
		draw_row(transfers, &transfers->items[i]);
	transfers->lines = (unsigned)shown;
	if (shown < transfers->count) {
		fprintf(stderr, "\r  and %zu more\033[K\n", transfers->count - shown);
		transfers->lines++;
	}
}

void transfers_hide(struct transfers *transfers)
{
	if (transfers->lines > 0)
		fprintf(stderr, "\033[%uA\r\033[J", transfers->lines);
	transfers->lines = 0;
	transfers->drawn = 0;
}

void transfers_event(struct transfers *transfers, const struct kioku_receive_event *event)
{
	double time = clock_now();

	count_refused(transfers, time);
	if (event) {
		say(transfers, event);
		follow(transfers, event);
	}
	if (transfers->is_terminal && time - transfers->drawn >= REDRAW_SECONDS &&
	    (transfers->count > 0 || transfers->lines > 0))
		draw(transfers, time);
}

void transfers_finish(struct transfers *transfers)
{
	transfers_hide(transfers);
	transfers->minute = 0;
	count_refused(transfers, clock_now() + MINUTE);
	free(transfers->items);
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "amount.h"
#include "message.h"
#include "progress.h"

enum { BAR = 24, LINE = 160, MINUTE = 60 };

void progress_start(struct progress *progress)
{
	*progress = (struct progress){ .terminal = isatty(STDERR_FILENO) };
	progress->begun = progress->said = progress->rated = clock_now();
}

/* The average over the last seconds: what came long ago says little about what is still to come. */
static void rate_update(struct progress *progress, double time)
{
	double passed = time - progress->rated;

	if (passed < 0.2)
		return;
	double rate = (double)(progress->done - progress->rated_at) / passed;
	double weight = passed / (passed + (progress->rate > 0 ? 5 : 0));
	progress->rate += weight * (rate - progress->rate);
	progress->rated = time;
	progress->rated_at = progress->done;
}

static void describe(const struct progress *progress, double time, bool last, char *out,
		     size_t size)
{
	char done[16], total[16], rate[16], left[32], lost[16], lost_text[32] = "";
	double passed = time - progress->begun;
	double average = passed > 0 ? (double)progress->done / passed : 0;
	double remaining = (double)(progress->total - progress->done);

	if (progress->lost > 0)
		snprintf(lost_text, sizeof(lost_text), ", %s lost",
			 amount_text((double)progress->lost, lost, sizeof(lost)));
	amount_text((double)progress->done, done, sizeof(done));
	amount_text((double)progress->total, total, sizeof(total));
	amount_text(last ? average : progress->rate, rate, sizeof(rate));
	if (last)
		duration_text(passed, left, sizeof(left));
	else if (progress->rate > 0)
		duration_text(remaining / progress->rate, left, sizeof(left));
	else
		strcpy(left, "?:??");
	snprintf(out, size, "%s of %s, %s/s, %s%s%s", done, total, rate, left, last ? "" : " left",
		 lost_text);
}

static unsigned percent(const struct progress *progress)
{
	if (progress->total == 0)
		return 100;
	return (unsigned)(100.0 * (double)progress->done / (double)progress->total);
}

static void draw(struct progress *progress, double time, bool last)
{
	struct winsize window = { 0 };
	char text[LINE], bar[BAR + 1], line[2 * LINE];
	unsigned filled = percent(progress) * BAR / 100;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_col == 0)
		window.ws_col = 80;
	memset(bar, '.', BAR);
	memset(bar, '#', filled < BAR ? filled : BAR);
	bar[BAR] = '\0';
	describe(progress, time, last, text, sizeof(text));
	snprintf(line, sizeof(line), "%3u %% [%s] %s", percent(progress), bar, text);
	/* The bar is what a narrow terminal can do without; a line that wraps could not be redrawn. */
	if (strlen(line) >= window.ws_col)
		snprintf(line, sizeof(line), "%3u %% %s", percent(progress), text);
	fprintf(stderr, "\r%.*s\033[K", window.ws_col - 1, line);
	progress->visible = true;
}

void progress_update(struct progress *progress, uint64_t done, uint64_t total, uint64_t lost)
{
	double time = clock_now();

	progress->done = done < total ? done : total;
	progress->total = total;
	progress->lost = lost;
	rate_update(progress, time);
	if (time - progress->said < (progress->terminal ? 0.2 : MINUTE))
		return;
	progress->said = time;
	if (progress->terminal) {
		draw(progress, time, false);
		return;
	}
	char text[LINE];
	describe(progress, time, false, text, sizeof(text));
	fprintf(stderr, "kioku: %u %%, %s\n", percent(progress), text);
	progress->visible = true;
}

void progress_diagnostic(void *user, enum kioku_severity severity, const char *message)
{
	struct progress *progress = user;

	if (progress->terminal && progress->visible)
		fputs("\r\033[K", stderr);
	message_diagnostic(NULL, severity, message);
}

void progress_finish(struct progress *progress)
{
	char text[LINE];

	if (progress->visible && progress->terminal) {
		draw(progress, clock_now(), true);
		putc('\n', stderr);
	} else if (progress->visible) {
		describe(progress, clock_now(), true, text, sizeof(text));
		fprintf(stderr, "kioku: %u %%, %s\n", percent(progress), text);
	}
	progress->visible = false;
}

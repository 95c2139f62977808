/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "amount.h"
#include "capture_command.h"
#include "cleanup.h"
#include "escape.h"
#include "interrupt.h"
#include "json.h"
#include "message.h"
#include "number.h"
#include "place.h"
#include "snapshot_options.h"

static const char *const formats[] = { "table", "json", NULL };

struct targets {
	pid_t *pids;
	size_t count;
};

static void release_targets(struct targets *targets)
{
	free(targets->pids);
}

static bool has_target(const struct targets *targets, pid_t pid)
{
	for (size_t i = 0; i < targets->count; i++)
		if (targets->pids[i] == pid)
			return true;
	return false;
}

/* Each once, in the order in which they come. */
static bool add_targets(struct targets *targets, const pid_t *pids, size_t count)
{
	pid_t *grown = reallocarray(targets->pids, targets->count + count, sizeof(*grown));

	if (!grown)
		return false;
	targets->pids = grown;
	for (size_t i = 0; i < count; i++)
		if (!has_target(targets, pids[i]))
			targets->pids[targets->count++] = pids[i];
	return true;
}

static int add_named(const struct session *session, struct targets *targets)
{
	struct kioku_error error = { 0 };
	const char *name = session->options.snapshot.name;
	AUTO_FREE pid_t *pids = NULL;
	size_t count = 0;

	if (!name)
		return STATUS_COMPLETE;
	if (kioku_process_find(name, &pids, &count, &error) != KIOKU_OK)
		return message_error("%s", error.message);
	return add_targets(targets, pids, count) ? STATUS_COMPLETE : message_error("out of memory");
}

static int add_trees(struct targets *targets)
{
	struct kioku_error error = { 0 };

	for (size_t i = 0, roots = targets->count; i < roots; i++) {
		AUTO_FREE pid_t *pids = NULL;
		size_t count = 0;
		if (kioku_process_tree(targets->pids[i], &pids, &count, &error) != KIOKU_OK)
			return message_error("%s", error.message);
		if (!add_targets(targets, pids, count))
			return message_error("out of memory");
	}
	return STATUS_COMPLETE;
}

static int find_targets(const struct session *session, struct targets *targets)
{
	const struct options *options = &session->options;

	for (size_t i = 0; i < options->argument_count; i++) {
		pid_t pid;
		if (!pid_parse(options->all_arguments[i], &pid) || pid == 0)
			return message_usage("snapshot: \"%s\" is no process number",
					     options->all_arguments[i]);
		if (!add_targets(targets, &pid, 1))
			return message_error("out of memory");
	}
	int status = add_named(session, targets);
	if (status == STATUS_COMPLETE && targets->count == 0)
		return message_usage(
			"snapshot: of which process? PID or --process NAME is missing");
	return status == STATUS_COMPLETE && options->snapshot.tree ? add_trees(targets) : status;
}

static void print_prediction(const struct kioku_snapshot_prediction *prediction)
{
	const char *name = kioku_snapshot_method_name(prediction->method);

	if (!prediction->possible) {
		printf("%-6s impossible: %s\n", name, prediction->reason);
		return;
	}
	printf("%-6s stopped for %" PRIu64 " us", name, prediction->stop / 1000);
	if (prediction->setup)
		printf(", one thread for %" PRIu64 " us before", prediction->setup / 1000);
	if (prediction->later_stop)
		printf(", one thread for %" PRIu64 " us at the end", prediction->later_stop / 1000);
	if (prediction->delay)
		printf("; each page's first write takes %" PRIu64 " ns longer", prediction->delay);
	if (prediction->memory)
		printf("; at most %" PRIu64 " KiB of memory more", prediction->memory / 1024);
	putchar('\n');
}

static void print_prediction_json(pid_t pid, const struct kioku_snapshot_prediction *prediction)
{
	struct json json = { .file = stdout, .ascii = true };

	json_open(&json, NULL, '{');
	json_integer(&json, "pid", pid);
	json_string(&json, "method", kioku_snapshot_method_name(prediction->method));
	json_boolean(&json, "possible", prediction->possible);
	json_string(&json, "reason", prediction->possible ? NULL : prediction->reason);
	json_number(&json, "setup_nanoseconds", prediction->setup);
	json_number(&json, "stop_nanoseconds", prediction->stop);
	json_number(&json, "later_stop_nanoseconds", prediction->later_stop);
	json_number(&json, "write_delay_nanoseconds", prediction->delay);
	json_number(&json, "memory", prediction->memory);
	json_close(&json, '}');
	putchar('\n');
}

static int predict(const struct session *session, const struct targets *targets)
{
	struct kioku_snapshot_prediction predictions[KIOKU_SNAPSHOT_METHODS];
	struct kioku_error error = { 0 };

	for (size_t i = 0; i < targets->count; i++) {
		if (kioku_process_predict(targets->pids[i], predictions, &error) != KIOKU_OK)
			return message_error("%s", error.message);
		if (session->options.format == formats[0])
			printf("process %d\n", targets->pids[i]);
		for (size_t method = 0; method < KIOKU_SNAPSHOT_METHODS; method++) {
			if (session->options.format == formats[0])
				print_prediction(&predictions[method]);
			else
				print_prediction_json(targets->pids[i], &predictions[method]);
		}
	}
	return STATUS_COMPLETE;
}

static void put_stop(struct json *json, const char *what, uint64_t nanoseconds)
{
	if (nanoseconds == 0)
		return;
	json_open(json, NULL, '{');
	json_string(json, "what", what);
	json_number(json, "nanoseconds", nanoseconds);
	json_close(json, '}');
}

static const char *const stop_names[] = { [KIOKU_SNAPSHOT_TRACK] = "copy",
					  [KIOKU_SNAPSHOT_FORK] = "duplicate",
					  [KIOKU_SNAPSHOT_STOP] = "stop" };

static void print_json(const struct kioku_process_summary *summary, const char *path)
{
	struct json json = { .file = stdout, .ascii = true };

	json_open(&json, NULL, '{');
	json_integer(&json, "pid", summary->pid);
	json_text(&json, "name", summary->name, strlen(summary->name));
	json_string(&json, "path", path);
	json_string(&json, "method", kioku_snapshot_method_name(summary->method));
	json_number(&json, "threads", summary->threads);
	json_open(&json, "stops", '[');
	put_stop(&json, "setup", summary->setup);
	put_stop(&json, "watch", summary->watch);
	put_stop(&json, stop_names[summary->method], summary->stop);
	put_stop(&json, "teardown", summary->teardown);
	put_stop(&json, "reap", summary->reap);
	json_close(&json, ']');
	json_number(&json, "memory", summary->memory);
	json_number(&json, "stored", summary->stored);
	json_number(&json, "inconsistent", summary->inconsistent);
	json_boolean(&json, "has_cleared_soft_dirty", summary->has_cleared);
	json_boolean(&json, "restores_itself", summary->restores_itself);
	json_boolean(&json, "has_leftover", summary->has_leftover);
	json_close(&json, '}');
	putchar('\n');
	fflush(stdout);
}

/* On stderr, because stdout may be where the core goes. */
static void print_line(const struct kioku_process_summary *summary)
{
	message_finding(KIOKU_NOTE,
			"process %d, method %s: %zu threads stopped for %" PRIu64 " us; %" PRIu64
			" KiB",
			summary->pid, kioku_snapshot_method_name(summary->method), summary->threads,
			summary->stop / 1000, summary->memory / 1024);
	if (summary->teardown)
		message_finding(KIOKU_NOTE,
				"process %d: all threads were stopped for %" PRIu64
				" us once more, at the end",
				summary->pid, summary->teardown / 1000);
	if (summary->watch)
		message_finding(KIOKU_NOTE,
				"process %d: all threads were stopped for %s%" PRIu64
				" us%s before",
				summary->pid, summary->has_cleared ? "up to " : "",
				summary->watch / 1000, summary->has_cleared ? "" : " once");
	if (summary->setup)
		message_finding(KIOKU_NOTE,
				"process %d: one thread was stopped for %" PRIu64 " us before",
				summary->pid, summary->setup / 1000);
	if (summary->reap)
		message_finding(KIOKU_NOTE,
				"process %d: one thread was stopped for %" PRIu64 " us at the end",
				summary->pid, summary->reap / 1000);
}

/* A snapshot of all targets at one instant. */
struct moment {
	const char *destination;
	struct kioku_series *series; /* NULL: it is the only one */
	uint64_t number;             /* of those before it */
};

static int write_core(struct session *session, struct kioku_process *process,
		      const struct moment *moment, char **place)
{
	struct kioku_process_summary summary = kioku_process_summary(process);
	char name[64];

	int size = snprintf(name, sizeof(name), "%s-%d", summary.name, summary.pid);
	if (moment->series)
		snprintf(name + size, sizeof(name) - (size_t)size, "-%06" PRIu64, moment->number);
	session->process = name;
	session->source = kioku_process_source(process);
	*place = capture_place(session, moment->destination);
	int status = *place ? capture_to(session, *place) : (int)message_error("out of memory");
	session->source = NULL; /* the process's, not ours to close */
	session->process = NULL;
	return status;
}

static void report(const struct session *session, const struct kioku_process *process,
		   const char *place)
{
	struct kioku_process_summary summary = kioku_process_summary(process);

	if (session->options.format != formats[0])
		print_json(&summary, place);
	else
		print_line(&summary);
}

static void warn(const struct kioku_process *process, uint64_t max_stop)
{
	struct kioku_process_summary summary = kioku_process_summary(process);
	uint64_t longest = kioku_process_longest_stop(&summary);

	if (max_stop > 0 && longest > max_stop)
		message_finding(KIOKU_WARNING,
				"process %d was stopped for %" PRIu64
				" us, longer than the %" PRIu64 " us allowed",
				summary.pid, longest / 1000, max_stop / 1000);
	if (summary.has_leftover)
		message_finding(
			KIOKU_WARNING,
			"process %d keeps the dead duplicate as a child, a zombie, until it ends: "
			"nobody could take it off its table",
			summary.pid);
}

static bool goes_on(void *user)
{
	return !interrupt_name();
}

/* A signal is how a series ends. */
static int refuse(const struct kioku_error *error, const struct moment *moment)
{
	if (error->status == KIOKU_ERROR_ARGUMENT)
		return message_usage("snapshot: %s", error->message);
	if (error->status != KIOKU_ERROR_STOPPED || !interrupt_name())
		return message_error("%s", error->message);
	return moment->series
		       ? STATUS_COMPLETE
		       : message_error("stopped by %s: nothing was written", interrupt_name());
}

static int take(struct session *session, const struct targets *targets, struct moment *moment)
{
	struct kioku_snapshot_options options = session->options.snapshot.options;
	AUTO_FREE struct kioku_process **processes = calloc(targets->count, sizeof(*processes));
	AUTO_FREE char **places = calloc(targets->count, sizeof(*places));
	struct kioku_error error = { 0 };
	int status = STATUS_COMPLETE;

	if (!processes || !places)
		return message_error("out of memory");
	options.size = sizeof(options);
	options.areas = session->options.area_count > 0 ? session->options.areas : NULL;
	options.area_count = session->options.area_count;
	options.rate = session->options.capture.rate;
	options.facts = true;
	options.series = moment->series;
	options.goes_on = goes_on;
	options.diagnostic = message_diagnostic;
	if (kioku_process_duplicate_all(targets->pids, targets->count, &options, processes,
					&error) != KIOKU_OK)
		return refuse(&error, moment);
	for (size_t i = 0; i < targets->count && status == STATUS_COMPLETE; i++)
		status = write_core(session, processes[i], moment, &places[i]);
	for (size_t i = 0; i < targets->count; i++)
		kioku_process_let_go(processes[i]);
	for (size_t i = 0; i < targets->count; i++) {
		warn(processes[i], options.max_stop);
		if (status == STATUS_COMPLETE)
			report(session, processes[i], places[i]);
		kioku_process_release(processes[i]);
		free(places[i]);
	}
	moment->number++;
	return status;
}

static int take_found(struct session *session, struct moment *moment)
{
	CLEANUP(release_targets) struct targets targets = { 0 };
	int status = find_targets(session, &targets);

	if (status != STATUS_COMPLETE)
		return status;
	if (targets.count > 1 && !place_is_folder(moment->destination))
		return message_usage("snapshot: several processes need a folder: -o DIR/");
	return take(session, &targets, moment);
}

/* Until a time of clock_now(), or a signal. */
static void sleep_until(double time)
{
	for (double left; !interrupt_name() && (left = time - clock_now()) > 0;) {
		struct timespec span = { .tv_sec = (time_t)left };
		span.tv_nsec = (long)((left - (double)span.tv_sec) * 1e9);
		nanosleep(&span, NULL);
	}
}

/* Moments that would begin while another is still being written are left out: it says so. */
static int repeat(struct session *session, struct moment *moment)
{
	const struct snapshot_request *request = &session->options.snapshot;
	const double interval = (double)request->repeat / 1e9;
	double next = clock_now();
	uint64_t late = 0;
	int status = STATUS_COMPLETE;

	while (status == STATUS_COMPLETE &&
	       (request->count == 0 || moment->number < request->count)) {
		sleep_until(next);
		if (interrupt_name())
			break;
		status = take_found(session, moment);
		if (interrupt_name())
			break;
		next += interval;
		double behind = clock_now() - next;
		uint64_t missed = behind > 0 ? (uint64_t)(behind / interval) + 1 : 0;
		next += (double)missed * interval;
		late += missed;
	}
	message_finding(KIOKU_NOTE, "%" PRIu64 " moments", moment->number);
	if (late > 0)
		message_finding(KIOKU_WARNING,
				"%" PRIu64 " were left out, as the one before took too long", late);
	return status;
}

/* NAME of NAME_DATE.core. */
static void name_of_core(const char *path, char *out, size_t size)
{
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	const char *end = strrchr(name, '_');

	snprintf(out, size, "%.*s", end ? (int)(end - name) : (int)strlen(name), name);
}

static int rebuild(struct session *session, const char *destination)
{
	const char *path = session->options.snapshot.rebuild;
	struct kioku_error error = { 0 };
	char name[64];

	if (kioku_series_open(path, &session->source, &error) != KIOKU_OK)
		return message_error("%s: %s", path, error.message);
	name_of_core(path, name, sizeof(name));
	session->process = name;
	AUTO_FREE char *place = capture_place(session, destination);
	int status = place ? capture_to(session, place) : (int)message_error("out of memory");
	session->process = NULL;
	return status;
}

static int check_places(const struct options *options, const char *destination)
{
	const struct snapshot_request *request = &options->snapshot;

	if (options->format != formats[0] && strcmp(destination, "-") == 0)
		return message_usage("snapshot: --format json and -o - both want the output");
	if (request->repeat && !place_is_folder(destination))
		return message_usage("snapshot: --repeat needs a folder: -o DIR/");
	if (request->count && !request->repeat)
		return message_usage("snapshot: --count is for --repeat");
	if (request->rebuild && (request->repeat || request->name || options->argument_count > 0))
		return message_usage("snapshot: --rebuild takes no snapshot");
	return STATUS_COMPLETE;
}

static int take_all(struct session *session, const char *destination)
{
	struct moment moment = { .destination = destination };

	if (session->options.snapshot.repeat == 0)
		return take_found(session, &moment);
	moment.series = kioku_series_new();
	if (!moment.series)
		return message_error("out of memory");
	int status = repeat(session, &moment);
	kioku_series_free(moment.series);
	return status;
}

static int dry_run(const struct session *session)
{
	CLEANUP(release_targets) struct targets targets = { 0 };
	int status = find_targets(session, &targets);

	return status == STATUS_COMPLETE ? predict(session, &targets) : status;
}

static int run(struct session *session)
{
	const struct options *options = &session->options;
	const char *destination;

	if (options->snapshot.dry_run)
		return dry_run(session);
	if (!options->output && !options->to)
		return message_usage("snapshot: where to? -o FILE, -o DIR/, -o - or --to DEST");
	int status = capture_begin(session, options->output, &destination);
	if (status == STATUS_COMPLETE)
		status = check_places(options, destination);
	/* Nobody is stopped for what cannot be written. */
	if (status == STATUS_COMPLETE)
		status = capture_check_process(session, destination);
	if (status != STATUS_COMPLETE)
		return status;
	interrupt_catch();
	return options->snapshot.rebuild ? rebuild(session, destination)
					 : take_all(session, destination);
}

const struct command snapshot_command = {
	.name = "snapshot",
	.help = "take a consistent copy of a live process, as an ELF core",
	.usage = "PID...",
	.formats = formats,
	.details = "The process is stopped only for as long as it takes to duplicate it "
		   "copy-on-write; its memory\nand the registers of all its threads are of one "
		   "instant. Several processes go into a folder.\nWhat it costs is said before, by "
		   "--dry-run, and afterwards. Exit status 3: memory was lost, or\nit was stopped.",
	.options = OPTION_HELP | OPTION_FORMAT | OPTION_IMAGE | OPTION_COMPRESS | OPTION_DIGEST |
		   OPTION_SIGN | OPTION_MANIFEST | OPTION_RATE | OPTION_THREADS |
		   OPTION_LOW_PRIORITY | OPTION_TO | OPTION_TOKEN_FILE | OPTION_RETRY | OPTION_AREA,
	.own = snapshot_options,
	.own_count = SNAPSHOT_OPTION_COUNT,
	.run = run,
};

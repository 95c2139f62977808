/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads, among the facts of a process. */
#include <stdio.h>

#include "base/scan.h"
#include "snapshot/process_facts_parts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* include/uapi/linux/sched.h */
static const char *const policies[] = { "other", "fifo", "rr",       "batch",
					NULL,    "idle", "deadline", "ext" };

static bool read_of_thread(struct facts *facts, int32_t thread, const char *name)
{
	char path[PROCESS_STRING_SIZE];

	snprintf(path, sizeof(path), "task/%d/%s", thread, name);
	return file_text_read(&facts->text, facts->process->folder, path, PROCESS_FILE_LIMIT,
			      NULL) == KIOKU_OK;
}

static void put_scheduling(struct json_writer *json, const struct task_stat *stat)
{
	const char *policy = stat->policy >= 0 && (size_t)stat->policy < COUNT(policies)
				     ? policies[stat->policy]
				     : NULL;

	json_put_text(json, "policy", policy);
	json_put_signed(json, "priority", stat->priority);
	json_put_signed(json, "nice", stat->nice);
	json_put_signed(json, "realtime_priority", stat->realtime_priority);
	json_put_signed(json, "processor", stat->processor);
}

/* False if it has ended meanwhile. */
static bool put_stat(struct facts *facts, int32_t thread)
{
	struct json_writer *json = &facts->json;
	struct task_stat stat;

	if (!read_of_thread(facts, thread, "stat") ||
	    !task_stat_decode(file_text_bytes(&facts->text), &stat))
		return false;
	json_begin_object(json, NULL);
	json_put_signed(json, "tid", thread);
	json_put_bytes(json, "name", stat.name);
	json_put_bytes(json, "state", (struct bytes){ (const uint8_t *)&stat.state, 1 });
	json_put_signed(json, "user_ticks", stat.user_time);
	json_put_signed(json, "system_ticks", stat.system_time);
	json_put_unsigned(json, "start_ticks", (uint64_t)stat.start_time);
	put_scheduling(json, &stat);
	return true;
}

/* What it waits for, where the kernel tells: rights of ptrace, and CONFIG_STACKTRACE, are needed. */
static bool put_waiting(struct facts *facts, int32_t thread)
{
	struct bytes word, line;
	size_t offset = 0;

	if (read_of_thread(facts, thread, "wchan") && facts->text.size > 0 &&
	    strcmp(facts->text.data, "0") != 0)
		json_put_bytes(&facts->json, "wait_channel", file_text_bytes(&facts->text));
	if (!read_of_thread(facts, thread, "syscall"))
		return false;
	if (scan_line(file_text_bytes(&facts->text), &offset, &line)) {
		size_t at = 0, digits = 0;
		uint64_t number;
		if (scan_word(line, &at, &word) && scan_decimal(word, &digits, &number))
			json_put_unsigned(&facts->json, "system_call", number);
	}
	return true;
}

void facts_put_threads(struct facts *facts)
{
	AUTO_NUMBERS struct number_list threads = { 0 };
	struct kioku_error error = { 0 };
	bool has_calls = true;
	struct bytes value;

	if (process_threads(facts->process, &threads, &error) != KIOKU_OK) {
		facts_gap_error(facts, "task", &error);
		return;
	}
	json_begin_array(&facts->json, "threads");
	for (size_t i = 0; i < threads.count; i++) {
		if (!put_stat(facts, threads.numbers[i]))
			continue;
		if (read_of_thread(facts, threads.numbers[i], "status")) {
			struct bytes status = file_text_bytes(&facts->text);
			if (task_status_find(status, "Cpus_allowed_list", &value))
				json_put_bytes(&facts->json, "processors_allowed", value);
			if (task_status_find(status, "SigBlk", &value))
				json_put_bytes(&facts->json, "blocked_signals", value);
		}
		has_calls &= put_waiting(facts, threads.numbers[i]);
		json_end_object(&facts->json);
	}
	json_end_array(&facts->json);
	if (!has_calls)
		facts_gap(facts, "system calls of threads",
			  "the rights of ptrace are needed, or this kernel does not tell");
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "snapshot/process_facts.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/scan.h"
#include "snapshot/process_facts_parts.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define PROGRAM_PIECE (256u << 10)
#define LIMIT_NAME    26 /* columns, of /proc/PID/limits (fs/proc/base.c, proc_pid_limits) */

/* --- reading */

void facts_gap(struct facts *facts, const char *what, const char *reason)
{
	struct facts_gap *gap = arena_allocate(&facts->arena, sizeof(*gap));

	if (!gap)
		return;
	gap->what = arena_copy(&facts->arena, what, strlen(what));
	gap->reason = arena_copy(&facts->arena, reason, strlen(reason));
	*facts->last_gap = gap;
	facts->last_gap = &gap->next;
}

/* Paths are said by what it is. */
void facts_gap_error(struct facts *facts, const char *what, const struct kioku_error *error)
{
	facts_gap(facts, what,
		  error->status == KIOKU_ERROR_OS ? strerror(error->os_errno) : error->message);
}

bool facts_read(struct facts *facts, const char *name)
{
	struct kioku_error error = { 0 };

	if (process_read(facts->process, name, &facts->text, &error) == KIOKU_OK)
		return true;
	facts_gap_error(facts, name, &error);
	return false;
}

bool facts_read_optional(struct facts *facts, const char *name)
{
	char path[PROCESS_STRING_SIZE];

	process_live_path(facts->process, name, path);
	return faccessat(facts->process->folder, path, F_OK, 0) == 0 && facts_read(facts, name);
}

/* Without the line feed at its end. */
static struct bytes line_of(const struct file_text *text)
{
	struct bytes line = file_text_bytes(text);

	if (line.size > 0 && line.data[line.size - 1] == '\n')
		line.size--;
	return line;
}

void facts_put_link(struct facts *facts, const char *key, const char *name)
{
	struct kioku_error error = { 0 };
	char path[PROCESS_STRING_SIZE];

	process_live_path(facts->process, name, path);
	if (file_text_read_link(&facts->text, facts->process->folder, path, &error) == KIOKU_OK)
		json_put_bytes(&facts->json, key, file_text_bytes(&facts->text));
	else
		facts_gap_error(facts, name, &error);
}

static void put_line(struct facts *facts, const char *key, const char *name)
{
	if (facts_read_optional(facts, name) && facts->text.size > 0)
		json_put_bytes(&facts->json, key, line_of(&facts->text));
}

static void put_decimal(struct facts *facts, const char *key, const char *name)
{
	size_t offset = 0;
	int64_t number;

	if (facts_read_optional(facts, name) &&
	    scan_signed(file_text_bytes(&facts->text), &offset, &number))
		json_put_signed(&facts->json, key, number);
}

/* --- who */

static void put_identity(struct facts *facts)
{
	const struct process *process = facts->process;
	struct json_writer *json = &facts->json;
	char time[64], seconds[32];
	struct tm utc;

	json_put_signed(json, "pid", process->pid);
	json_put_text(json, "name", process->name);
	json_put_signed(json, "parent", process->parent);
	json_put_signed(json, "process_group", process->group);
	json_put_signed(json, "session", process->session);
	json_put_bytes(json, "state", (struct bytes){ (const uint8_t *)&process->state, 1 });
	if (process->tracer)
		json_put_signed(json, "tracer", process->tracer);
	if (process->word_size)
		json_put_unsigned(json, "word_size", process->word_size);
	if (gmtime_r(&process->start_utc.tv_sec, &utc)) {
		strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &utc);
		snprintf(time, sizeof(time), "%s.%02ldZ", seconds,
			 process->start_utc.tv_nsec / 10000000);
		json_put_text(json, "start_time", time);
	}
	json_put_unsigned(json, "start_ticks", process->start_ticks);
}

/* Each of a file's strings, which NULs end; the last one may lack its NUL (a title that was set). */
static void put_strings(struct facts *facts, const char *key, const char *name)
{
	if (!facts_read(facts, name))
		return;
	json_begin_array(&facts->json, key);
	for (size_t at = 0; at < facts->text.size;) {
		const char *string = facts->text.data + at;
		size_t size = strnlen(string, facts->text.size - at);
		json_put_bytes(&facts->json, NULL, (struct bytes){ (const uint8_t *)string, size });
		at += size + 1;
	}
	json_end_array(&facts->json);
}

static bool digest_file(int file, char hex[DIGEST_HEX_SIZE])
{
	AUTO_FREE uint8_t *piece = malloc(PROGRAM_PIECE);
	struct digest digest = { 0 };
	ssize_t got = -1;

	if (piece && digest_init(&digest, KIOKU_DIGEST_SHA256, NULL) == KIOKU_OK)
		while ((got = read(file, piece, PROGRAM_PIECE)) > 0 &&
		       digest_add(&digest, piece, (size_t)got))
			;
	bool done = got == 0 && digest_finish_hex(&digest, hex);
	digest_release(&digest);
	return done;
}

/* Of the file that runs, which may have no name any more. */
static void put_program(struct facts *facts)
{
	char path[PROCESS_STRING_SIZE], hex[DIGEST_HEX_SIZE];
	struct json_writer *json = &facts->json;
	struct stat status;

	json_begin_object(json, "executable");
	facts_put_link(facts, "path", "exe");
	process_live_path(facts->process, "exe", path);
	AUTO_CLOSE int file =
		openat(facts->process->folder, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file < 0 || fstat(file, &status) != 0) {
		facts_gap(facts, "executable", strerror(errno));
	} else {
		json_put_flag(json, "deleted", status.st_nlink == 0);
		json_put_unsigned(json, "size", (uint64_t)status.st_size);
		json_put_unsigned(json, "inode", status.st_ino);
		if (digest_file(file, hex))
			json_put_text(json, "sha256", hex);
		else
			facts_gap(facts, "executable's digest", strerror(errno));
	}
	json_end_object(json);
}

/* --- rights */

static void put_ids(struct json_writer *json, const char *key, const uint32_t ids[4])
{
	static const char *const names[] = { "real", "effective", "saved", "filesystem" };

	json_begin_object(json, key);
	for (size_t i = 0; i < COUNT(names); i++)
		json_put_unsigned(json, names[i], ids[i]);
	json_end_object(json);
}

static void put_groups(struct json_writer *json, struct bytes status)
{
	struct bytes groups, word;

	if (!task_status_find(status, "Groups", &groups))
		return;
	json_begin_array(json, "groups");
	for (size_t offset = 0; scan_word(groups, &offset, &word);) {
		size_t at = 0;
		uint64_t group;
		if (scan_decimal(word, &at, &group))
			json_put_unsigned(json, NULL, group);
	}
	json_end_array(json);
}

static void put_credentials(struct facts *facts)
{
	static const char *const sets[][2] = {
		{ "inheritable", "CapInh" }, { "permitted", "CapPrm" }, { "effective", "CapEff" },
		{ "bounding", "CapBnd" },    { "ambient", "CapAmb" },
	};
	static const char *const modes[] = { "none", "strict", "filter" };
	struct json_writer *json = &facts->json;
	const struct process *process = facts->process;
	uint64_t number;

	if (!facts_read(facts, "status"))
		return;
	struct bytes status = file_text_bytes(&facts->text);
	json_begin_object(json, "credentials");
	put_ids(json, "user_ids", process->uids);
	put_ids(json, "group_ids", process->gids);
	put_groups(json, status);
	json_begin_object(json, "capabilities");
	for (size_t i = 0; i < COUNT(sets); i++)
		if (task_status_bits(status, sets[i][1], &number))
			json_put_address(json, sets[i][0], number);
	json_end_object(json);
	if (task_status_numbers(status, "NoNewPrivs", &number, 1))
		json_put_flag(json, "no_new_privileges", number != 0);
	if (task_status_numbers(status, "Seccomp", &number, 1))
		json_put_text(json, "seccomp", number < COUNT(modes) ? modes[number] : "unknown");
	if (task_status_numbers(status, "Seccomp_filters", &number, 1))
		json_put_unsigned(json, "seccomp_filters", number);
	/* 4294967295: none was set; a kernel without audit has no such files. */
	put_decimal(facts, "login_user_id", "loginuid");
	put_decimal(facts, "audit_session", "sessionid");
	json_end_object(json);
}

/* EINVAL where no security module keeps one. */
static void put_security_label(struct facts *facts)
{
	struct kioku_error error = { 0 };

	if (process_read(facts->process, "attr/current", &facts->text, &error) == KIOKU_OK &&
	    facts->text.size > 0)
		json_put_bytes(&facts->json, "security_label", line_of(&facts->text));
	else if (error.os_errno && error.os_errno != EINVAL && error.os_errno != ENOENT)
		facts_gap_error(facts, "attr/current", &error);
}

/* --- where it lives */

static void put_namespaces(struct facts *facts)
{
	const struct process *process = facts->process;
	struct json_writer *json = &facts->json;

	json_begin_object(json, "namespaces");
	for (size_t i = 0; i < PROCESS_NAMESPACE_COUNT; i++)
		if (process->namespaces[i])
			json_put_unsigned(json, process_namespace_names[i], process->namespaces[i]);
	json_end_object(json);
	if (!process->namespaces[PROCESS_MOUNT_NAMESPACE])
		facts_gap(facts, "namespaces", "the rights of ptrace are needed");
	json_begin_array(json, "namespace_pids");
	for (size_t i = 0; i < process->namespace_pid_count; i++)
		json_put_signed(json, NULL, process->namespace_pids[i]);
	json_end_array(json);
}

static void put_cgroups(struct facts *facts)
{
	struct bytes line;

	if (!facts_read_optional(facts, "cgroup"))
		return;
	json_begin_array(&facts->json, "cgroups");
	for (size_t offset = 0; scan_line(file_text_bytes(&facts->text), &offset, &line);)
		json_put_bytes(&facts->json, NULL, line);
	json_end_array(&facts->json);
}

/* null: unlimited */
static void put_limit(struct json_writer *json, const char *key, struct bytes word)
{
	size_t offset = 0;
	uint64_t limit;

	if (scan_decimal(word, &offset, &limit))
		json_put_unsigned(json, key, limit);
	else
		json_put_text(json, key, NULL);
}

/* "Max open files            1024                 524288               files     " */
static void put_limits(struct facts *facts)
{
	struct json_writer *json = &facts->json;
	struct bytes line, soft, hard;

	if (!facts_read(facts, "limits"))
		return;
	json_begin_object(json, "limits");
	for (size_t offset = 0; scan_line(file_text_bytes(&facts->text), &offset, &line);) {
		char name[LIMIT_NAME + 1] = "";
		size_t at = LIMIT_NAME, length = 0;
		if (!bytes_match(line, 0, "Max ") || !bytes_has(line, 0, LIMIT_NAME) ||
		    !scan_word(line, &at, &soft) || !scan_word(line, &at, &hard))
			continue;
		for (size_t i = strlen("Max "); i < LIMIT_NAME; i++)
			name[length++] = line.data[i] == ' ' ? '_' : (char)tolower(line.data[i]);
		while (length > 0 && name[length - 1] == '_')
			name[--length] = '\0';
		json_begin_object(json, name);
		put_limit(json, "soft", soft);
		put_limit(json, "hard", hard);
		json_end_object(json);
	}
	json_end_object(json);
}

/* "rchar: 6976" */
static void put_io(struct facts *facts)
{
	struct bytes line;

	if (!facts_read_optional(facts, "io"))
		return;
	json_begin_object(&facts->json, "io");
	for (size_t offset = 0; scan_line(file_text_bytes(&facts->text), &offset, &line);) {
		const uint8_t *colon = memchr(line.data, ':', line.size);
		size_t at = colon ? (size_t)(colon - line.data) + 1 : 0;
		char name[64];
		uint64_t number;
		scan_blanks(line, &at);
		if (!colon || !scan_decimal(line, &at, &number))
			continue;
		process_copy_name((struct bytes){ line.data, (size_t)(colon - line.data) }, name,
				  sizeof(name));
		json_put_unsigned(&facts->json, name, number);
	}
	json_end_object(&facts->json);
}

static void put_coredump_filter(struct facts *facts)
{
	struct kioku_error error = { 0 };
	size_t offset = 0;
	uint64_t filter;

	/* Only the process has this file, not its threads. */
	if (file_text_read(&facts->text, facts->process->folder, "coredump_filter",
			   PROCESS_FILE_LIMIT, &error) != KIOKU_OK)
		facts_gap_error(facts, "coredump_filter", &error);
	else if (scan_hex(file_text_bytes(&facts->text), &offset, &filter))
		json_put_address(&facts->json, "coredump_filter", filter);
}

/* --- mappings */

static void put_deleted_mappings(struct facts *facts)
{
	AUTO_MAPS struct process_maps maps = { 0 };
	struct kioku_error error = { 0 };
	struct json_writer *json = &facts->json;

	if (process_mappings(facts->process, false, &maps, &error) != KIOKU_OK) {
		facts_gap_error(facts, "maps", &error);
		return;
	}
	json_begin_array(json, "mapped_deleted_files");
	for (size_t i = 0; i < maps.list.count; i++) {
		const struct mapping *mapping = &maps.list.mappings[i];
		if (mapping->inode == 0 || !mapping_is_deleted(mapping))
			continue;
		json_begin_object(json, NULL);
		json_put_address(json, "start", mapping->start);
		json_put_address(json, "end", mapping->end);
		json_put_unsigned(json, "inode", mapping->inode);
		/* As it stands in maps, so that it is found there. */
		json_put_bytes(json, "name", mapping->name);
		json_end_object(json);
	}
	json_end_array(json);
}

/* --- */

static void put_gaps(struct facts *facts)
{
	json_begin_array(&facts->json, "unreadable");
	for (const struct facts_gap *gap = facts->gaps; gap; gap = gap->next) {
		json_begin_object(&facts->json, NULL);
		json_put_text(&facts->json, "what", gap->what);
		json_put_text(&facts->json, "reason", gap->reason);
		json_end_object(&facts->json);
	}
	json_end_array(&facts->json);
}

static void put_all(struct facts *facts)
{
	json_begin_object(&facts->json, NULL);
	put_identity(facts);
	put_strings(facts, "command_line", "cmdline");
	put_strings(facts, "environment", "environ");
	put_program(facts);
	facts_put_link(facts, "working_folder", "cwd");
	facts_put_link(facts, "root", "root");
	put_credentials(facts);
	put_security_label(facts);
	put_namespaces(facts);
	put_cgroups(facts);
	put_limits(facts);
	put_coredump_filter(facts);
	put_decimal(facts, "oom_score", "oom_score");
	put_decimal(facts, "oom_score_adj", "oom_score_adj");
	put_line(facts, "personality", "personality");
	put_io(facts);
	put_deleted_mappings(facts);
	facts_put_threads(facts);
	facts_put_descriptors(facts);
	put_gaps(facts);
	json_end_object(&facts->json);
}

enum kioku_status process_facts(struct process *process, char **out, size_t *size,
				struct kioku_error *error)
{
	struct facts facts = { .process = process };

	*out = NULL;
	TRY(process_refresh(process, error));
	facts.last_gap = &facts.gaps;
	facts.json.out = open_memstream(out, size);
	if (!facts.json.out)
		return error_no_memory(error);
	put_all(&facts);
	bool failed = ferror(facts.json.out);
	failed |= fclose(facts.json.out) != 0;
	file_text_release(&facts.text);
	arena_release(&facts.arena);
	if (!failed && process_is_current(process))
		return KIOKU_OK;
	free(TAKE(*out));
	return failed ? error_no_memory(error)
		      : error_set(error, KIOKU_ERROR_NOT_FOUND,
				  "process %d ended while facts of it were collected",
				  process->pid);
}

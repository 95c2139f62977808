/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout/build_tree.h"

#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/child.h"

enum { LOOK_EVERY = 100, END_LIMIT = 2000 }; /* milliseconds */

bool build_path_is_plain(const char *path)
{
	return path[0] && path[0] != '-' &&
	       path[strspn(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "/._-+,@")] == '\0';
}

/* --- the folder */

__attribute__((format(printf, 3, 4))) static enum kioku_status
make_path(char out[BUILD_PATH], struct kioku_error *error, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	int size = vsnprintf(out, BUILD_PATH, format, arguments);
	va_end(arguments);
	return size < BUILD_PATH ? KIOKU_OK
				 : error_set(error, KIOKU_ERROR_ARGUMENT,
					     "%.80s...: the path is too long", out);
}

/* An absolute path without symbolic links, that make can work with. */
static enum kioku_status resolve(const char *path, char out[BUILD_PATH], struct kioku_error *error)
{
	AUTO_FREE char *whole = realpath(path, NULL);

	if (!whole)
		return error_os(error, "cannot find %s", path);
	if (!build_path_is_plain(whole))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "%s: make can work with no such path: letters, digits and /._-+,@ "
				 "are what it may have",
				 whole);
	return make_path(out, error, "%s", whole);
}

static bool has_file(const char *folder, const char *name)
{
	char path[2 * BUILD_PATH];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return access(path, F_OK) == 0;
}

static enum kioku_status check_source(const struct build_tree *tree, struct kioku_error *error)
{
	if (!has_file(tree->source, "Makefile") || !has_file(tree->source, "Kconfig") ||
	    !has_file(tree->source, "include/linux"))
		return error_set(error, KIOKU_ERROR_REFUSED, "%s is no source of a kernel",
				 tree->source);
	/* Makefile, "outputmakefile": with O=, make takes no other. */
	if (has_file(tree->source, ".config") || has_file(tree->source, "include/config"))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "a kernel was configured in %s itself: give a clean copy of the "
				 "source (make mrproper)",
				 tree->source);
	return KIOKU_OK;
}

enum kioku_status build_tree_open(struct build_tree *tree,
				  const struct kioku_layout_options *options,
				  struct kioku_error *error)
{
	const char *base = getenv("TMPDIR");
	char folder[BUILD_PATH], parent[BUILD_PATH];

	*tree = (struct build_tree){
		.options = options,
		.diagnostics = { options->diagnostic, options->user },
	};
	TRY(resolve(options->source, tree->source, error));
	TRY(check_source(tree, error));
	TRY(resolve(base && *base ? base : "/tmp", parent, error));
	TRY(make_path(folder, error, "%s/kioku-layout-XXXXXX", parent));
	if (!mkdtemp(folder))
		return error_os(error, "cannot make %s", folder);
	strcpy(tree->folder, folder);
	TRY(make_path(tree->output, error, "%s/output", folder));
	TRY(make_path(tree->units, error, "%s/units", folder));
	if (mkdir(tree->output, 0700) != 0 || mkdir(tree->units, 0700) != 0)
		return error_os(error, "cannot make folders in %s", folder);
	return KIOKU_OK;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)remove(path);
	return 0;
}

void build_tree_close(struct build_tree *tree)
{
	if (tree->folder[0] && nftw(tree->folder, remove_entry, 32, FTW_DEPTH | FTW_PHYS) != 0)
		diagnose(&tree->diagnostics, KIOKU_WARNING, "cannot remove %s: %s", tree->folder,
			 strerror(errno));
	tree->folder[0] = '\0';
}

/* --- what programs say */

static void end_line(struct build_log *log)
{
	char *line = log->lines[log->count % BUILD_LOG_LINES];

	log->partial[log->partial_size] = '\0';
	strcpy(line, log->partial);
	log->partial_size = 0;
	if (line[0] == '\0')
		return;
	log->count++;
	if (!log->complaint[0] && strstr(line, "error:"))
		strcpy(log->complaint, line);
}

/* What is longer than a line is cut. */
static void take_output(struct build_log *log, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (text[i] == '\n')
			end_line(log);
		else if (log->partial_size < BUILD_LINE - 1)
			log->partial[log->partial_size++] = text[i];
	}
}

void build_tree_say_log(const struct build_tree *tree)
{
	const struct build_log *log = &tree->log;
	size_t first = log->count > BUILD_LOG_LINES ? log->count - BUILD_LOG_LINES : 0;

	for (size_t i = first; i < log->count; i++)
		diagnose(&tree->diagnostics, KIOKU_NOTE, "%s", log->lines[i % BUILD_LOG_LINES]);
}

/* --- programs */

void build_add(struct build_words *words, const char *word)
{
	if (words->count < BUILD_WORD_LIMIT)
		words->list[words->count++] = word;
}

/* Only what programs need to be found, and to work here: no MAKEFLAGS, KCFLAGS or ARCH of the caller's. */
struct environment {
	char path[4096], home[BUILD_PATH + 8], temporary[BUILD_PATH + 8];
	const char *list[8];
};

static void make_environment(const struct build_tree *tree, struct environment *out)
{
	const char *path = getenv("PATH");

	snprintf(out->path, sizeof(out->path), "PATH=%s",
		 path ? path : "/usr/local/bin:/usr/bin:/bin");
	snprintf(out->home, sizeof(out->home), "HOME=%s", tree->folder);
	snprintf(out->temporary, sizeof(out->temporary), "TMPDIR=%s", tree->folder);
	const char *list[] = { out->path, out->home, out->temporary, "LC_ALL=C", "TZ=UTC0", NULL };
	memcpy(out->list, list, sizeof(list));
}

static bool goes_on(const struct build_tree *tree, const char *doing)
{
	const struct kioku_layout_options *options = tree->options;

	return !options->goes_on || options->goes_on(options->user, doing);
}

static void cleanup_child(struct child *child)
{
	child_end(child, 0);
}

static enum kioku_status run(struct build_tree *tree, const char *doing,
			     const struct build_words *words, bool *failed,
			     struct kioku_error *error)
{
	CLEANUP(cleanup_child) struct child child = CHILD_NONE;
	struct environment environment;
	const struct child_way way = { .errors = CHILD_ERRORS_ARE_OUTPUT,
				       .environment = environment.list,
				       .is_apart = true };

	make_environment(tree, &environment);
	memset(&tree->log, 0, sizeof(tree->log));
	TRY(child_start(&child, words->list, &way, error));
	for (ssize_t part = 1; part != 0;) {
		char text[4096];
		if (!goes_on(tree, doing))
			return error_set(error, KIOKU_ERROR_STOPPED, "stopped while %s", doing);
		part = child_read(&child, text, sizeof(text), LOOK_EVERY);
		take_output(&tree->log, text, part > 0 ? (size_t)part : 0);
	}
	end_line(&tree->log);
	/* Nothing of it holds the pipe any more: it has ended, or is about to. */
	bool ended = child_wait(&child, END_LIMIT);
	*failed = !ended || !WIFEXITED(child.status) || WEXITSTATUS(child.status) != 0;
	return KIOKU_OK;
}

static enum kioku_status say_failure(const struct build_tree *tree, const char *program,
				     const char *doing, struct kioku_error *error)
{
	build_tree_say_log(tree);
	return error_set(error, KIOKU_ERROR_UNSUPPORTED, "%s failed while %s%s%s", program, doing,
			 tree->log.complaint[0] ? ": " : "", tree->log.complaint);
}

enum kioku_status build_tree_run(struct build_tree *tree, const char *doing,
				 const struct build_words *words, struct kioku_error *error)
{
	bool failed;

	TRY(run(tree, doing, words, &failed, error));
	return failed ? say_failure(tree, words->list[0], doing, error) : KIOKU_OK;
}

enum kioku_status build_tree_make(struct build_tree *tree, const char *doing,
				  const struct build_words *targets, bool is_thorough,
				  struct kioku_error *error)
{
	char jobs[24], output[BUILD_PATH + 8], units[BUILD_PATH + 8], compiler[160];
	unsigned count = tree->options->jobs;
	struct build_words words = { 0 };
	bool failed;

	if (count == 0)
		count = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	snprintf(jobs, sizeof(jobs), "-j%u", count > 0 && count < 1024 ? count : 1);
	snprintf(output, sizeof(output), "O=%s", tree->output);
	snprintf(units, sizeof(units), "M=%s", tree->units);
	snprintf(compiler, sizeof(compiler), "CC=%s", tree->compiler);
	/* Before v5.20 objtool is switched off by a variable only. */
	const char *start[] = {
		"make",   "--silent",    "--no-print-directory",   jobs, "-C", tree->source, output,
		compiler, "ARCH=x86_64", "SKIP_STACK_VALIDATION=1"
	};
	for (size_t i = 0; i < sizeof(start) / sizeof(*start); i++)
		build_add(&words, start[i]);
	if (tree->links_by_lld)
		build_add(&words, "LD=ld.lld");
	if (is_thorough) {
		build_add(&words, "--keep-going");
		build_add(&words, units);
	}
	for (size_t i = 0; i < targets->count; i++)
		build_add(&words, targets->list[i]);
	TRY(run(tree, doing, &words, &failed, error));
	return failed && !is_thorough ? say_failure(tree, "make", doing, error) : KIOKU_OK;
}

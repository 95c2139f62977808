/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <kioku/layout.h>

#include "base/file_text.h"
#include "base/scan.h"
#include "kernel/profile.h"
#include "kernel/type_file.h"
#include "base/unpack.h"
#include "layout/build_tree.h"
#include "layout/compiler.h"
#include "layout/config_change.h"
#include "layout/needed_types.h"
#include "layout/probe.h"
#include "type/dwarf_types.h"

#define CONFIG_SIZE_LIMIT (4u << 20) /* ten times what Debian's have */
#define OBJECT            "kioku.o"

/* --- configurations */

/* Two configurations, the one that was given and the one that the source made of it. */
struct configurations {
	struct config_texts texts;
	struct config_text *asked, *made;
	struct file_text file; /* what was given, as it stands in the file */
	void *unpacked;
	struct bytes content;
	char forced[PROFILE_FORCED_MAX]; /* what was against using it; "": nothing */
};

static void release_configurations(struct configurations *configurations)
{
	config_texts_release(&configurations->texts);
	file_text_release(&configurations->file);
	free(configurations->unpacked);
}

static enum kioku_status parse(struct config_texts *texts, struct bytes content,
			       struct config_text **out)
{
	struct config_reader reader = { 0 };
	struct config_text *text = config_texts_add(texts, CONFIG_FILE);

	if (!text)
		return KIOKU_ERROR_NO_MEMORY;
	config_reader_begin(&reader, texts, text, true);
	TRY(config_reader_feed(&reader, content, 0));
	TRY(config_reader_end(&reader));
	*out = reader.text;
	return config_text_sort(*out);
}

/* A layout that was made at random can be had with the very seed only, which no configuration has. */
static const char *random_option(const struct config_text *text)
{
	static const char *const names[] = {
		"CONFIG_RANDSTRUCT", /* since v5.19 */
		"CONFIG_GCC_PLUGIN_RANDSTRUCT",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const struct config_line *line = config_text_find(text, bytes_of_text(names[i]));
		if (line && bytes_equal(line->value, SCAN_LITERAL("y")))
			return names[i];
	}
	return NULL;
}

static enum kioku_status check_asked(const struct configurations *configurations, const char *path,
				     struct kioku_error *error)
{
	const struct config_text *text = configurations->asked;

	if (text->count == 0 || text->foreign > 0)
		return error_set(error, KIOKU_ERROR_REFUSED, "%s is no configuration of a kernel",
				 path);
	if (configurations->texts.count > 1)
		return error_set(error, KIOKU_ERROR_REFUSED, "%s has several configurations in it",
				 path);
	if (random_option(text))
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "%s has %s: its structures are laid out at random, by a seed that "
				 "is in no configuration; only that build's own debug information "
				 "tells how",
				 path, random_option(text));
	return KIOKU_OK;
}

static enum kioku_status read_asked(struct configurations *configurations, const char *path,
				    struct kioku_error *error)
{
	TRY(file_text_read(&configurations->file, AT_FDCWD, path, CONFIG_SIZE_LIMIT, error));
	configurations->content = file_text_bytes(&configurations->file);
	if (unpack_packer(configurations->content) != PACKER_NONE) {
		size_t size;
		enum kioku_status status = unpack(configurations->content, CONFIG_SIZE_LIMIT,
						  &configurations->unpacked, &size, error);
		if (status != KIOKU_OK) {
			error_prefix(error, "%s", path);
			return status;
		}
		configurations->content = (struct bytes){ configurations->unpacked, size };
	}
	if (parse(&configurations->texts, configurations->content, &configurations->asked) !=
	    KIOKU_OK)
		return error_no_memory(error);
	return check_asked(configurations, path, error);
}

/* What make made of the configuration, with its path. */
static enum kioku_status read_made(struct configurations *configurations,
				   const struct build_tree *tree, struct kioku_error *error)
{
	AUTO_FILE_TEXT struct file_text text = { 0 };
	char path[BUILD_PATH + 16];

	snprintf(path, sizeof(path), "%s/.config", tree->output);
	TRY(file_text_read(&text, AT_FDCWD, path, CONFIG_SIZE_LIMIT, error));
	if (parse(&configurations->texts, file_text_bytes(&text), &configurations->made) !=
	    KIOKU_OK)
		return error_no_memory(error);
	if (!configurations->made->version.size)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "%s is no source of a kernel: its configuration has no title",
				 tree->source);
	return KIOKU_OK;
}

/* What make's configuration differs in; all of it is said. */
static enum kioku_status compare(struct configurations *configurations,
				 const struct build_tree *tree, struct kioku_error *error)
{
	const struct config_text *asked = configurations->asked, *made = configurations->made;
	const struct diagnostics *diagnostics = &tree->diagnostics;
	struct config_changes changes;

	config_changes_find(asked, made, diagnostics, &changes);
	if (asked->version.size && !bytes_equal(asked->version, made->version))
		diagnose(diagnostics, KIOKU_WARNING,
			 "%s is a configuration of %.*s, and the source is %.*s",
			 tree->options->config, (int)asked->version.size, asked->version.data,
			 (int)made->version.size, made->version.data);
	if (changes.added.count)
		diagnose(diagnostics, KIOKU_WARNING,
			 "%s does not say what these are, so that they are as the source has them: "
			 "%s",
			 tree->options->config, changes.added.text);
	if (changes.tools.count)
		diagnose(diagnostics, KIOKU_NOTE,
			 "the tools are others than the configuration's: %s; the compiler is "
			 "%.*s%s%.*s",
			 changes.tools.text, (int)made->compiler.size, made->compiler.data,
			 asked->compiler.size ? ", and was " : "", (int)asked->compiler.size,
			 asked->compiler.data);
	if (!changes.changed.count)
		return KIOKU_OK;
	if (!tree->options->force)
		return error_set(error, KIOKU_ERROR_REFUSED,
				 "this source and these tools make another configuration of %s, "
				 "and so other layouts: %s",
				 tree->options->config, changes.changed.text);
	snprintf(configurations->forced, sizeof(configurations->forced),
		 "the source made another configuration of what was given: %s",
		 changes.changed.text);
	return KIOKU_OK;
}

static enum kioku_status write_config(const struct build_tree *tree, struct bytes content,
				      struct kioku_error *error)
{
	char path[BUILD_PATH + 16];

	snprintf(path, sizeof(path), "%s/.config", tree->output);
	FILE *file = fopen(path, "we");
	if (!file)
		return error_os(error, "cannot write %s", path);
	bool good = fwrite(content.data, 1, content.size, file) == content.size;
	good &= fclose(file) == 0;
	return good ? KIOKU_OK : error_os(error, "cannot write %s", path);
}

static enum kioku_status choose_compiler(struct build_tree *tree, const struct config_text *asked,
					 struct kioku_error *error)
{
	const char *given = tree->options->compiler;
	const struct config_line *linker =
		config_text_find(asked, SCAN_LITERAL("CONFIG_LD_IS_LLD"));

	if (given && (!build_path_is_plain(given) || strlen(given) >= sizeof(tree->compiler)))
		return error_set(error, KIOKU_ERROR_ARGUMENT,
				 "make can work with no compiler of the name %.200s", given);
	if (given)
		strcpy(tree->compiler, given);
	else
		compiler_choose(asked->compiler, tree->compiler, sizeof(tree->compiler));
	tree->links_by_lld = linker && bytes_equal(linker->value, SCAN_LITERAL("y"));
	return KIOKU_OK;
}

static enum kioku_status configure(struct build_tree *tree, struct configurations *configurations,
				   struct kioku_error *error)
{
	const struct build_words targets = { { "olddefconfig" }, 1 };

	TRY(choose_compiler(tree, configurations->asked, error));
	TRY(write_config(tree, configurations->content, error));
	TRY(build_tree_make(tree, "making the configuration", &targets, false, error));
	TRY(read_made(configurations, tree, error));
	return compare(configurations, tree, error);
}

/* --- the probe */

static enum kioku_status compile_waiting(struct build_tree *tree, const struct probe *probe,
					 struct kioku_error *error)
{
	AUTO_FREE char(*names)[PROBE_NAME_SIZE] = calloc(probe->count, sizeof(*names));
	struct build_words targets = { 0 };

	if (!names)
		return error_no_memory(error);
	for (size_t i = 0; i < probe->count; i++) {
		if (probe->units[i].state != PROBE_WAITS)
			continue;
		probe_object(i, names[i]);
		build_add(&targets, names[i]);
	}
	return build_tree_make(tree, "compiling the structures", &targets, true, error);
}

static size_t count_units(const struct probe *probe, enum probe_state state)
{
	size_t count = 0;

	for (size_t i = 0; i < probe->count; i++)
		count += probe->units[i].state == state;
	return count;
}

/* The first complaint is said with a file only if it must be of that one. */
static void say_failed(struct build_tree *tree, struct probe *probe)
{
	bool is_known = count_units(probe, PROBE_FAILED) == 1 &&
			count_units(probe, PROBE_WAITS) == 0 && tree->log.complaint[0];

	for (size_t i = 0; i < probe->count; i++) {
		struct probe_unit *unit = &probe->units[i];
		if (unit->state != PROBE_FAILED)
			continue;
		unit->state = PROBE_SAID;
		diagnose(&tree->diagnostics, KIOKU_GAP,
			 "%s cannot be compiled, and its structures are missing%s%s",
			 probe_file(unit), is_known ? ": " : "",
			 is_known ? tree->log.complaint : "");
	}
}

static enum kioku_status compile(struct build_tree *tree, struct probe *probe,
				 struct kioku_error *error)
{
	for (bool any = true;;) {
		TRY(probe_write(probe, &any, error));
		if (!any)
			break;
		TRY(compile_waiting(tree, probe, error));
		probe_look(probe);
		say_failed(tree, probe);
	}
	if (count_units(probe, PROBE_DONE) > 0)
		return KIOKU_OK;
	build_tree_say_log(tree);
	return error_set(error, KIOKU_ERROR_UNSUPPORTED,
			 "nothing of the source can be compiled: %s", tree->log.complaint);
}

/* One object of all, so that a structure that many of them have is there once. */
static enum kioku_status join(struct build_tree *tree, const struct probe *probe,
			      struct kioku_error *error)
{
	AUTO_FREE char(*paths)[BUILD_PATH + PROBE_NAME_SIZE] =
		calloc(probe->count + 1, sizeof(*paths));
	struct build_words words = { 0 };

	if (!paths)
		return error_no_memory(error);
	const char *start[] = { tree->links_by_lld ? "ld.lld" : "ld", "-r", "-z", "muldefs", "-o" };
	for (size_t i = 0; i < sizeof(start) / sizeof(*start); i++)
		build_add(&words, start[i]);
	snprintf(paths[probe->count], sizeof(*paths), "%s/" OBJECT, tree->units);
	build_add(&words, paths[probe->count]);
	for (size_t i = 0; i < probe->count; i++) {
		char name[PROBE_NAME_SIZE];
		if (probe->units[i].state != PROBE_DONE)
			continue;
		probe_object(i, name);
		snprintf(paths[i], sizeof(*paths), "%s/%s", tree->units, name);
		build_add(&words, paths[i]);
	}
	return build_tree_run(tree, "joining the structures", &words, error);
}

/* --- types */

static void say_missing(const struct build_tree *tree, const struct kioku_types *types)
{
	char text[900] = "";
	size_t used = 0, count = 0;

	for (size_t i = 0; needed_types[i]; i++) {
		uint32_t id;
		if (kioku_types_find(types, needed_types[i], &id, NULL) == KIOKU_OK &&
		    kioku_type_kind(types, id) != KIOKU_TYPE_FORWARD)
			continue;
		int size = snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "",
				    needed_types[i]);
		used += (size_t)size < sizeof(text) - used ? (size_t)size : 0;
		count++;
	}
	if (count)
		diagnose(&tree->diagnostics, KIOKU_NOTE,
			 "%zu types that other kernels have are not in this source, or not with "
			 "this configuration: %s",
			 count, text);
}

static enum kioku_status save(const struct build_tree *tree,
			      const struct configurations *configurations,
			      struct kioku_error *error)
{
	AUTO_TYPE_FILE struct type_file *file = NULL;
	char object[BUILD_PATH + 16], evidence[PROFILE_EVIDENCE_MAX], version[PROFILE_VERSION_MAX],
		local_version[PROFILE_VERSION_MAX];
	const struct config_text *made = configurations->made;

	snprintf(object, sizeof(object), "%s/" OBJECT, tree->units);
	TRY(type_file_open(object, &file, error));
	if (!types_size_of(file->types, "struct task_struct"))
		return error_set(error, KIOKU_ERROR_UNSUPPORTED,
				 "what was compiled has no struct task_struct");
	if (file->flaw[0])
		diagnose(&tree->diagnostics, KIOKU_GAP, "%s", file->flaw);
	say_missing(tree, file->types);
	snprintf(version, sizeof(version), "%.*s", (int)made->version.size, made->version.data);
	snprintf(local_version, sizeof(local_version), "%.*s", (int)made->local_version.size,
		 made->local_version.data);
	snprintf(evidence, sizeof(evidence), "source %s and a configuration, by %.*s", version,
		 (int)made->compiler.size, made->compiler.data);
	const struct profile_origin origin = {
		.version = version,
		.local_version = local_version,
		.evidence = evidence,
		.forced = configurations->forced[0] ? configurations->forced : NULL,
	};
	return profile_save_layouts(file->types, &origin, tree->options->output, error);
}

enum kioku_status kioku_layout_build(const struct kioku_layout_options *given,
				     struct kioku_error *error)
{
	struct kioku_layout_options known = { 0 };
	const struct kioku_layout_options *options = &known;
	CLEANUP(release_configurations) struct configurations configurations = { 0 };
	AUTO_BUILD_TREE struct build_tree tree = { 0 };
	const struct build_words targets = { { "prepare0" }, 1 };
	struct probe probe;

	memcpy(&known, given, given->size < sizeof(known) ? given->size : sizeof(known));
	if (!dwarf_is_readable())
		return types_from_dwarf(-1, NULL, NULL, error);
	TRY(read_asked(&configurations, options->config, error));
	TRY(build_tree_open(&tree, options, error));
	TRY(configure(&tree, &configurations, error));
	/* Headers that are made, and no more: not the tools that kernels and modules are finished with. */
	TRY(build_tree_make(&tree, "making the headers", &targets, false, error));
	probe_begin(&probe, tree.source, tree.units, configurations.made);
	TRY(compile(&tree, &probe, error));
	TRY(join(&tree, &probe, error));
	return save(&tree, &configurations, error);
}

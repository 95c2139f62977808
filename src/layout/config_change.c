/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout/config_change.h"

#include <stdio.h>

#include "base/scan.h"

#define SAY_LIMIT 40

/*
 * init/Kconfig, scripts/Kconfig.include and arch/x86/Kconfig.assembler, v4.18 to v7.0: what is asked of the tools and
 * not of a person. What depends on them is an option of its own.
 */
static bool is_of_tools(struct bytes name)
{
	static const char *const names[] = {
		"CONFIG_CC_VERSION_TEXT",      "CONFIG_GCC_VERSION",
		"CONFIG_CLANG_VERSION",        "CONFIG_AS_VERSION",
		"CONFIG_LD_VERSION",           "CONFIG_LLD_VERSION",
		"CONFIG_PAHOLE_VERSION",       "CONFIG_RUSTC_VERSION",
		"CONFIG_RUSTC_VERSION_TEXT",   "CONFIG_RUSTC_LLVM_VERSION",
		"CONFIG_BINDGEN_VERSION_TEXT", "CONFIG_RUST_IS_AVAILABLE",
	};
	static const char *const starts[] = {
		"CONFIG_CC_HAS_",    "CONFIG_CC_CAN_",        "CONFIG_CC_IMPLICIT_",
		"CONFIG_AS_",        "CONFIG_LD_CAN_",        "CONFIG_LD_ORPHAN_",
		"CONFIG_RUSTC_HAS_", "CONFIG_TOOLS_SUPPORT_", "CONFIG_PAHOLE_HAS_",
		"CONFIG_CC_NO_",     "CONFIG_GCC_NO_",        "CONFIG_GCC_ASM_",
		"CONFIG_GCC10_",     "CONFIG_GCC11_",         "CONFIG_GCC12_",
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (bytes_equal(name, bytes_of_text(names[i])))
			return true;
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (name.size > strlen(starts[i]) &&
		    memcmp(name.data, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

/* What is not there is not set: an empty string, too. */
static struct bytes value_of(const struct config_line *line)
{
	if (!line || bytes_equal(line->value, SCAN_LITERAL("\"\"")))
		return SCAN_LITERAL("n");
	return line->value;
}

static void add_name(struct config_names *names, struct bytes name)
{
	size_t left = sizeof(names->text) - names->used;

	names->count++;
	int size = names->left_out ? -1
				   : snprintf(names->text + names->used, left, "%s%.*s",
					      names->used ? ", " : "", (int)name.size, name.data);
	/* Room for how many are left out. */
	if (size > 0 && (size_t)size + 24 < left) {
		names->used += (size_t)size;
		return;
	}
	names->left_out++;
	snprintf(names->text + names->used, left, " and %zu more", names->left_out);
}

static void add_change(const struct config_line *asked, const struct config_line *made,
		       const struct diagnostics *diagnostics, struct config_changes *changes)
{
	struct bytes before = value_of(asked), now = value_of(made);

	if (is_of_tools(asked->name)) {
		add_name(&changes->tools, asked->name);
		return;
	}
	add_name(&changes->changed, asked->name);
	if (changes->changed.count <= SAY_LIMIT)
		diagnose(diagnostics, KIOKU_WARNING, "%.*s=%.*s comes out as %.*s",
			 (int)asked->name.size, asked->name.data, (int)before.size, before.data,
			 (int)now.size, now.data);
}

void config_changes_find(const struct config_text *asked, const struct config_text *made,
			 const struct diagnostics *diagnostics, struct config_changes *out)
{
	*out = (struct config_changes){ 0 };
	for (size_t i = 0; i < asked->distinct; i++) {
		const struct config_line *line = &asked->lines[asked->by_name[i]];
		const struct config_line *other = config_text_find(made, line->name);
		if (!bytes_equal(value_of(line), value_of(other)))
			add_change(line, other, diagnostics, out);
	}
	for (size_t i = 0; i < made->distinct; i++) {
		const struct config_line *line = &made->lines[made->by_name[i]];
		if (!config_text_find(asked, line->name) && !is_of_tools(line->name) &&
		    !bytes_equal(value_of(line), SCAN_LITERAL("n")))
			add_name(&out->added, line->name);
	}
}

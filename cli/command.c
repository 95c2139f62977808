/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "command.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct command *const commands[] = {
	&info_command,    &type_command,    &read_command,    &profile_command,
	&isf_command,     &layout_command,  &acquire_command, &dump_command,
	&recover_command, &report_command,  &convert_command, &snapshot_command,
	&verify_command,  &receive_command, &serve_command,   &help_command,
};

/* volatility3's plugins, by module name: "linux.pslist", with or without ".PsList"; the longer first. */
/* clang-format off */
static const struct {
	const char *plugin, *command;
} aliases[] = {
	{ "linux.bash", "history" },
	{ "linux.check_modules", "check" },
	{ "linux.ebpf", "bpf" },
	{ "linux.elfs", "elf" },
	{ "linux.envars", "env" },
	{ "linux.hidden_modules", "check" },
	{ "linux.iomem", "iomem" },
	{ "linux.ip.Addr", "interfaces" },
	{ "linux.kallsyms", "symbols" },
	{ "linux.kmsg", "dmesg" },
	{ "linux.lsmod", "modules" },
	{ "linux.lsof", "lsof" },
	{ "linux.malware.check_modules", "check" },
	{ "linux.malware.hidden_modules", "check" },
	{ "linux.malware.netfilter", "netfilter" },
	{ "linux.mountinfo", "mounts" },
	{ "linux.netfilter", "netfilter" },
	{ "linux.pagecache.RecoverFs", "recover" },
	{ "linux.pagecache", "files" },
	{ "linux.proc", "maps" },
	{ "linux.psaux", "args" },
	{ "linux.pslist", "ps" },
	{ "linux.psscan", "psscan" },
	{ "linux.pstree", "pstree" },
	{ "linux.sockstat", "sockets" },
	{ "linux.tracing.ftrace", "ftrace" },
	{ "linux.vmayarascan", "yara" },
};
/* clang-format on */

static const char *resolve_alias(const char *name)
{
	for (size_t i = 0; i < COUNT(aliases); i++) {
		size_t length = strlen(aliases[i].plugin);
		if (strncmp(name, aliases[i].plugin, length) == 0 &&
		    (name[length] == '\0' || name[length] == '.'))
			return aliases[i].command;
	}
	return name;
}

bool command_find(const char *name, struct command *out)
{
	name = resolve_alias(name);
	for (size_t i = 0; i < COUNT(commands); i++) {
		if (strcmp(commands[i]->name, name) == 0) {
			*out = *commands[i];
			return true;
		}
	}
	const struct kioku_view *view = kioku_view_find(name);
	if (!view)
		return false;
	*out = view_command(view);
	return true;
}

bool command_at(size_t index, struct command *out)
{
	const struct kioku_view *const *views = kioku_views();
	size_t view_count = 0;

	/* info comes first, then the views, then the rest. */
	while (views[view_count])
		view_count++;
	if (index > 0 && index <= view_count) {
		*out = view_command(views[index - 1]);
		return true;
	}
	index -= index > 0 ? view_count : 0;
	if (index >= COUNT(commands))
		return false;
	*out = *commands[index];
	return true;
}

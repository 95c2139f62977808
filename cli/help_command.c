/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <kioku/capture.h>

#include "message.h"
#include "session.h"

void help_print_overview(FILE *file)
{
	struct command command;

	fputs("usage: kioku COMMAND SOURCE [OPTION]...\n"
	      "Takes memory images of Linux machines, and reads them without symbol files.\n\n"
	      "SOURCE is an image file; its format is found from its content (raw:PATH, lime:PATH\n"
	      "and elf:PATH force one). live is the memory of this machine, qemu:SOCKET and\n"
	      "gdb://ADDRESS:PORT that of one that QEMU runs.\n\n",
	      file);
	for (size_t i = 0; command_at(i, &command); i++)
		fprintf(file, "  %-10s  %s\n", command.name, command.help);
	fputs("\n\"kioku COMMAND --help\" lists a command's options and columns.\n", file);
}

static void print_formats(FILE *file)
{
	const struct kioku_image_format *const *formats = kioku_image_formats();
	const char *const *codecs = kioku_image_codecs();

	fputs("\nformats, the default first:\n", file);
	for (size_t i = 0; formats[i]; i++)
		fprintf(file, "  %-16s  %s\n", formats[i]->name, formats[i]->help);
	fputs("\ncodecs:", file);
	for (size_t i = 0; codecs[i]; i++)
		fprintf(file, " %s", codecs[i]);
	fputs(" none\n", file);
}

void help_print_command(FILE *file, const struct command *command)
{
	fprintf(file, "usage: kioku %s%s%s [OPTION]...\n%s\n", command->name,
		*command->usage ? " " : "", command->usage, command->help);
	if (command->details)
		fprintf(file, "\n%s\n", command->details);
	fputs("\noptions:\n", file);
	options_print_help(file, command);
	if (command->options & OPTION_AS)
		print_formats(file);
	if (!command->view)
		return;

	const struct kioku_column *column;
	fputs("\ncolumns:\n", file);
	for (size_t i = 0; (column = kioku_view_column(command->view, i)); i++)
		fprintf(file, "  %-16s  %s%s\n", column->name, column->help,
			column->optional ? " (only if asked for)" : "");
}

static void print_columns(FILE *file, const struct command *command)
{
	const struct kioku_column *column;

	for (size_t i = 0; command->view && (column = kioku_view_column(command->view, i)); i++)
		fprintf(file, "%s\n", column->name);
}

static void print_names(FILE *file)
{
	struct command command;

	for (size_t i = 0; command_at(i, &command); i++)
		fprintf(file, "%s\n", command.name);
}

static int run(struct session *session)
{
	const char *name = session->options.arguments[0];
	bool bare = session->options.given & OPTION_LIST;
	struct command command;

	if (name && !command_find(name, &command))
		return message_usage("no such command: %s; see kioku help", name);
	if (name && bare)
		print_columns(stdout, &command);
	else if (name)
		help_print_command(stdout, &command);
	else if (bare)
		print_names(stdout);
	else
		help_print_overview(stdout);
	return STATUS_COMPLETE;
}

const struct command help_command = {
	.name = "help",
	.help = "say what the commands do, or what one of them takes",
	.usage = "[COMMAND]",
	.options = OPTION_HELP | OPTION_LIST,
	.run = run,
};

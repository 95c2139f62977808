/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Layouts of the kernel's structures from its source and configuration. */
#include <string.h>
#include <unistd.h>

#include <kioku/layout.h>

#include "interrupt.h"
#include "message.h"
#include "session.h"

static const struct option_row rows[] = {
	{ "source", 0, "DIR", TEXT_OF(layout.source),
	  "the kernel's source, which is only read; required" },
	{ "config", 0, "FILE", TEXT_OF(layout.config), "the kernel's configuration; required" },
	{ "cc", 0, "PROGRAM", TEXT_OF(layout.compiler),
	  "compile with this; the default is what the configuration names, if it is there" },
	{ "force", 0, NULL, FLAG_OF(layout.force),
	  "use a configuration that the source makes another one of" },
};

/* What is being done, on a terminal alone. */
struct doing {
	bool terminal;
	const char *said;
};

static bool goes_on(void *user, const char *what)
{
	struct doing *doing = user;

	if (doing->terminal && (!doing->said || strcmp(doing->said, what) != 0))
		fprintf(stderr, "%s ...\n", what);
	doing->said = what;
	return !interrupt_name();
}

static int run(struct session *session)
{
	struct kioku_layout_options *options = &session->options.layout;
	struct doing doing = { .terminal = isatty(STDERR_FILENO) };
	struct kioku_error error = { 0 };

	if (!options->source || !options->config || !session->options.output)
		return message_usage("layout: %s is missing; see kioku help layout",
				     !options->source   ? "--source DIR"
				     : !options->config ? "--config FILE"
							: "-o FILE");
	options->size = sizeof(*options);
	options->output = session->options.output;
	options->jobs = session->options.threads;
	options->diagnostic = message_diagnostic;
	options->goes_on = goes_on;
	options->user = &doing;
	interrupt_catch();
	enum kioku_status status = kioku_layout_build(options, &error);
	if (status == KIOKU_ERROR_STOPPED)
		return message_error("stopped by %s: nothing was written", interrupt_name());
	if (status != KIOKU_OK)
		return message_error("%s",
				     error.message[0] ? error.message : kioku_status_name(status));
	return STATUS_COMPLETE;
}

const struct command layout_command = {
	.name = "layout",
	.help = "layouts of a kernel's structures from its source and configuration",
	.usage = "",
	.details =
		"-o FILE is required; it is then for --types of other commands. This RUNS make in "
		"the source,\n"
		"and whatever that says: give no source that you would not build.",
	.options = OPTION_HELP | OPTION_OUTPUT | OPTION_THREADS,
	.own = rows,
	.own_count = sizeof(rows) / sizeof(rows[0]),
	.run = run,
};

/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/handler.h"

#include <stdio.h>
#include <string.h>

#include "kernel/module_scan.h"

/* Without its taints nobody knows; what belongs to the kernel's tree is not tainted so. */
static bool is_foreign(const struct check_run *run, const struct module *module)
{
	char taints[MODULE_TAINT_ROOM];

	return module_taints(run->kernel, module, taints) != KIOKU_OK || strchr(taints, 'O');
}

static enum kioku_status take_unlisted(void *user, const struct module *module)
{
	return modules_add(user, module);
}

/* What is lost of them is said by the check that is about them. */
static const struct module *unlisted_at(const struct check_run *run, uint64_t address)
{
	struct unlisted *unlisted = run->unlisted;
	struct diagnostics before = run->kernel->diagnostics;

	if (!unlisted->is_known) {
		run->kernel->diagnostics = (struct diagnostics){ 0 };
		/* Only a name depends on it. */
		(void)!module_scan(run->kernel, take_unlisted, &unlisted->modules, NULL);
		run->kernel->diagnostics = before;
	}
	unlisted->is_known = true;
	return modules_at(&unlisted->modules, address);
}

/* Of code of nobody: what a module that is in no list says of it. */
static void describe_nobody(const struct check_run *run, uint64_t address, char out[CODE_TEXT])
{
	const struct module *module = unlisted_at(run, address);
	struct code_name function;

	if (!module)
		snprintf(out, CODE_TEXT, "0x%llx", (unsigned long long)address);
	else if (module_function(run->kernel, module, address, &function) == KIOKU_OK)
		snprintf(out, CODE_TEXT, "%s+0x%llx/0x%llx [%s]", function.name,
			 (unsigned long long)(address - function.address),
			 (unsigned long long)function.size, module->name);
	else
		snprintf(out, CODE_TEXT, "0x%llx [%s]", (unsigned long long)address, module->name);
}

void handler_find(const struct check_run *run, uint64_t address, struct handler *out)
{
	const struct module *module = modules_at(&run->code->modules, address);
	char place[CODE_TEXT], nobody[CODE_TEXT];

	kernel_code_place(run->kernel, run->code, address, place);
	if (module)
		out->owner =
			is_foreign(run, module) ? HANDLER_OF_FOREIGN_MODULE : HANDLER_OF_MODULE;
	else
		out->owner =
			kernel_code_has(run->code, address) ? HANDLER_OF_KERNEL : HANDLER_OF_NOBODY;
	if (out->owner == HANDLER_OF_NOBODY)
		describe_nobody(run, address, nobody);
	out->is_doubtful = out->owner == HANDLER_OF_NOBODY && run->code->modules.is_damaged;
	snprintf(out->text, sizeof(out->text), "%s%s%s",
		 out->owner == HANDLER_OF_NOBODY ? nobody : place,
		 out->owner == HANDLER_OF_NOBODY ? ", in no code that the kernel knows of" : "",
		 out->is_doubtful ? "; its list of modules is damaged" : "");
}

void handler_doubt(const struct handler *handler, struct check_result *result)
{
	if (!handler->is_doubtful)
		return;
	result->severity = CHECK_NOTE;
	result->certainty = CHECK_POSSIBLE;
}

bool handler_is_executable(const struct check_run *run, uint64_t address)
{
	struct kioku_translation translation;

	return kioku_translate(kioku_kernel_space(run->kernel), address, &translation, NULL) ==
		       KIOKU_OK &&
	       translation.permissions & KIOKU_PERMISSION_EXECUTE;
}

enum kioku_status handler_report(struct check_run *run, const struct handler *handler,
				 const struct check_result *result)
{
	struct check_result shown = *result;
	char found[CHECK_TEXT];

	if (handler->owner != HANDLER_OF_NOBODY && handler->owner != HANDLER_OF_FOREIGN_MODULE)
		return KIOKU_OK;
	shown.severity = handler->owner == HANDLER_OF_NOBODY ? CHECK_FINDING : CHECK_NOTE;
	shown.certainty = handler->owner == HANDLER_OF_NOBODY ? CHECK_CERTAIN : CHECK_POSSIBLE;
	snprintf(found, sizeof(found), "%s%s", handler->text,
		 handler->owner == HANDLER_OF_NOBODY ? "" : ", of a module from elsewhere");
	shown.found = found;
	handler_doubt(handler, &shown);
	return check_report(run, &shown);
}

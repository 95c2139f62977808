/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "check/handler.h"

#include <stdio.h>
#include <string.h>

/* Without its taints nobody knows; what belongs to the kernel's tree is not tainted so. */
static bool is_foreign(const struct check_run *run, const struct module *module)
{
	char taints[MODULE_TAINT_ROOM];

	return module_taints(run->kernel, module, taints) != KIOKU_OK || strchr(taints, 'O');
}

void handler_find(const struct check_run *run, uint64_t address, struct handler *out)
{
	const struct module *module = modules_at(&run->code->modules, address);
	char place[CODE_TEXT];

	kernel_code_place(run->kernel, run->code, address, place);
	if (module)
		out->owner =
			is_foreign(run, module) ? HANDLER_OF_FOREIGN_MODULE : HANDLER_OF_MODULE;
	else
		out->owner =
			kernel_code_has(run->code, address) ? HANDLER_OF_KERNEL : HANDLER_OF_NOBODY;
	snprintf(out->text, sizeof(out->text), "%s%s", place,
		 out->owner == HANDLER_OF_NOBODY ? ", in no code that the kernel knows of" : "");
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
	return check_report(run, &shown);
}

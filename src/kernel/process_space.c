/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Address spaces of processes. */
#include "kernel/memory_map.h"

bool task_has_memory(const struct task *task)
{
	return task->mm != 0 && !(task->flags & PF_KTHREAD);
}

enum kioku_status memory_map_open_space(struct kioku_kernel *kernel, const struct memory_map *map,
					int32_t pid, struct kioku_address_space **out,
					struct kioku_error *error)
{
	struct kioku_translation translation;
	enum kioku_status status = kioku_translate(&kernel->space, map->pgd, &translation, error);

	if (status != KIOKU_OK) {
		error_prefix(error, "cannot find the page tables of process %d", pid);
		return status;
	}
	TRY(address_space_open(&kernel->space, translation.physical, out, error));
	/* arch/x86/mm/pti.c, __pti_set_user_pgtbl(): what the user half of a pair maps is marked
	 * not executable in the kernel's half. */
	(*out)->ignore_root_nx = true;
	return process_absent_open(kernel, map, pid, &(*out)->absent, error);
}

enum kioku_status kioku_process_space_open(struct kioku_kernel *kernel, int32_t pid,
					   struct kioku_address_space **out,
					   struct kioku_error *error)
{
	struct memory_map map;
	struct task task;

	TRY(task_find(kernel, pid, &task, error));
	if (!task_has_memory(&task))
		return error_set(
			error, KIOKU_ERROR_UNSUPPORTED,
			"process %d has no memory of its own: it is a kernel thread, or it "
			"has exited",
			pid);
	TRY(memory_map_read(kernel, task.mm, &map, error));
	return memory_map_open_space(kernel, &map, pid, out, error);
}

enum kioku_status kioku_cr3_space_open(struct kioku_kernel *kernel, uint64_t cr3,
				       struct kioku_address_space **out, struct kioku_error *error)
{
	return address_space_open(&kernel->space, cr3 & 0x000ffffffffff000ull, out, error);
}

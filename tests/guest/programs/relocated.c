/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A library with an address in its code, which the loader writes there when it is mapped: DT_TEXTREL. */
int relocated_value = 1;

__attribute__((naked)) void relocated_function(void)
{
	__asm__("movabs $relocated_value, %rax\n\tret");
}

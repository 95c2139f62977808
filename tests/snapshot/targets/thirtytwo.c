// SPDX-License-Identifier: LGPL-2.1-or-later
/* A 32-bit program, without a C library, as that is seldom there for 32 bits. As target.h has it. */
#include <stdint.h>

#define SYS_EXIT         1
#define SYS_WRITE        4
#define SYS_SIGPROCMASK  175
#define SYS_SIGTIMEDWAIT 177
#define SIGTERM          15
#define ERROR_AGAIN      11

struct timespec32 {
	int32_t seconds, nanoseconds;
};

static volatile uint32_t counted;

void _start(void);

static int32_t call(uint32_t number, uint32_t one, uint32_t two, uint32_t three, uint32_t four)
{
	int32_t result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(one), "c"(two), "d"(three), "S"(four)
			 : "memory");
	return result;
}

static void say(const char *text)
{
	uint32_t size = 0;

	while (text[size] != '\0')
		size++;
	call(SYS_WRITE, 1, (uint32_t)(uintptr_t)text, size, 0);
}

void _start(void)
{
	static const uint64_t set = 1 << (SIGTERM - 1);
	static const struct timespec32 millisecond = { 0, 1000000 };
	uint32_t faults = 0;
	int32_t result;

	call(SYS_SIGPROCMASK, 0, (uint32_t)(uintptr_t)&set, 0, sizeof(set));
	say("ready bits=0x20\n");
	do {
		result = call(SYS_SIGTIMEDWAIT, (uint32_t)(uintptr_t)&set, 0,
			      (uint32_t)(uintptr_t)&millisecond, sizeof(set));
		faults += result != -ERROR_AGAIN && result != SIGTERM;
		counted++;
	} while (result != SIGTERM);
	say(faults == 0 ? "{\"faults\": []}\n" : "{\"faults\": [\"sigtimedwait: interrupted\"]}\n");
	call(SYS_EXIT, faults != 0, 0, 0, 0);
	__builtin_unreachable();
}

/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Types of every form, which compilers describe and a test knows. */
#ifndef TESTS_UNIT_DWARF_SAMPLE_H
#define TESTS_UNIT_DWARF_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

typedef unsigned long long sample_u64;
typedef unsigned char vector_t[256];

enum sample_state { SAMPLE_DEAD = -1, SAMPLE_ALIVE = 1, SAMPLE_LATE = 300 };
enum sample_flags { SAMPLE_LOW = 1, SAMPLE_HIGH = 0x80000000u };
enum sample_wide { SAMPLE_WIDE = 0x123456789abull };

struct sample_list {
	struct sample_list *next, *prev;
};

union sample_either {
	int32_t small;
	sample_u64 large;
	char text[12];
};

struct sample_incomplete;

struct sample_bits {
	unsigned int first : 3;
	int second : 5;
	unsigned int wide : 20;
	unsigned char tail : 2;
	sample_u64 far : 40;
};

struct sample_task {
	char state;
	struct sample_list tasks;
	union {
		struct {
			int pid, tgid;
		};
		sample_u64 both;
	};
	const volatile uint16_t *counters[3];
	int matrix[2][5];
	vector_t vector;
	struct sample_bits bits;
	int (*call)(struct sample_task *, const char *, ...);
	struct sample_incomplete *incomplete;
	enum sample_state alive;
	enum sample_flags flags;
	enum sample_wide wide;
	union sample_either either;
	_Bool truth;
	double real;
	struct sample_task *parent;
	char name[16];
	unsigned long flexible[];
};

#endif

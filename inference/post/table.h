/* What families of one table share: which columns follow the classes, and how the table lies. */
#ifndef INFERENCE_POST_TABLE_H
#define INFERENCE_POST_TABLE_H

#include "inference/post/head.h"

/*
 * Sets task, masks and key points by metadata, else by the outputs: mask prototypes mean segmentation.
 * before: columns up to the extra ones, or 0 where the number of classes is not known; columns: of the
 * whole table. ret_extra: columns behind the classes. False: a classifier, or what the task needs is
 * missing.
 */
bool table_task(const struct head_facts *f, size_t before, size_t columns, struct head *ret,
                size_t *ret_extra);

/* Sets n, row and column of a table [1, n, columns] (by_row) or [1, columns, n]. */
void table_layout(const struct value *v, bool by_row, struct head *ret);

#endif

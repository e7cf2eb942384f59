package model

// xgbNewest is the newest version of XGBoost whose files are known: its fields
// are those of xgbFields.
const (
	xgbNewestMajor = 3
	xgbNewestMinor = 4
)

// xgbFields is the closed list of what XGBoost 1.0 to 3.4 writes for the
// objective binary:logistic. Attributes are the user's own; categories,
// leaf_weights and cats are looked at where they are read.
func xgbFields() *shape {
	tree := fields("base_weights", "categories", "categories_nodes", "categories_segments", "categories_sizes",
		"default_left", "id", "leaf_child_counts", "leaf_weights", "left_children", "loss_changes", "parents",
		"right_children", "split_conditions", "split_indices", "split_type", "sum_hessian").
		with("tree_param", fields("num_deleted", "num_feature", "num_nodes", "size_leaf_vector"))
	model := fields("iteration_indptr", "tree_info", "weight_drop").
		with("cats", fields("enc", "feature_segments", "sorted_idx")).
		with("gbtree_model_param", fields("num_parallel_tree", "num_trees", "size_leaf_vector")).
		with("trees", &shape{item: tree})
	gbtree := fields("name", "weight_drop").with("model", model)
	booster := fields("name", "weight_drop").with("model", model).with("gbtree", gbtree)
	learner := fields("attributes", "feature_names", "feature_types").
		with("gradient_booster", booster).
		with("learner_model_param", fields("base_score", "boost_from_average", "num_class", "num_feature", "num_target")).
		with("objective", fields("name").with("reg_loss_param", fields("scale_pos_weight")))
	return fields("version").with("learner", learner)
}

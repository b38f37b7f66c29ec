"""redub_lumierenet: the generator of "LumiereNet" (Kim, Ganapathi, 2019) for redub."""

"""metrics: is it good?"""
